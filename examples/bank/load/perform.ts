/**
 * Sends one planned request and settles it in the books: the ledger (what SQL must hold), the
 * sessions (what reads must see). Every request that was begun is settled exactly once.
 */
import type { Answer, CallOptions, GatewayClients } from './client.ts';
import type { AppliedDeltas, Ledger } from './ledger.ts';
import type { PlannedRequest } from './mix.ts';
import type { Sessions } from './sessions.ts';
import type { Outcome, Tally } from './tally.ts';

export interface PerformParts {
  readonly clients: GatewayClients;
  readonly ledger: Ledger;
  readonly sessions: Sessions;
  readonly tally: Tally;
}

type BalanceRequest = Extract<PlannedRequest, { kind: 'balance' }>;
type GlobalRequest = Extract<PlannedRequest, { kind: 'currencies' | 'country' }>;
type WriteRequest = Exclude<PlannedRequest, BalanceRequest | GlobalRequest>;

export async function perform(
  parts: PerformParts,
  request: PlannedRequest,
  requestId: string,
): Promise<Outcome['result']> {
  switch (request.kind) {
    case 'balance':
      return readBalance(parts, request);
    case 'currencies':
    case 'country':
      return resultOf(await parts.clients.call(globalCall(request)));
    default:
      return write(parts, request, requestId);
  }
}

function globalCall(request: GlobalRequest): CallOptions {
  const path = request.kind === 'currencies' ? '/currencies' : `/countries/${request.code}`;
  return { region: request.region, method: 'GET', path };
}

async function readBalance(
  parts: PerformParts,
  request: BalanceRequest,
): Promise<Outcome['result']> {
  const { region, account } = request;
  const read = request.useToken ? parts.sessions.beginRead(account, region) : undefined;
  const answer = await parts.clients.call({
    region,
    method: 'GET',
    path: `/accounts/${encodeURIComponent(account)}/balance`,
    ...(read === undefined ? {} : { token: read.token }),
  });
  const checkable =
    read !== undefined && parts.sessions.stillCertain(read) && !parts.ledger.doubtful(account);
  if (answer.kind === 'done' && checkable) {
    const expected = parts.ledger.expected(account);
    const { savings, checking } = answer.body;
    parts.tally.readYourWritesChecks += 1;
    if (savings !== expected.savings || checking !== expected.checking) {
      parts.tally.readYourWritesViolations += 1;
    }
  }
  return resultOf(answer);
}

async function write(
  parts: PerformParts,
  request: WriteRequest,
  requestId: string,
): Promise<Outcome['result']> {
  const { region, account } = request;
  const accounts = 'to' in request ? [account, request.to] : [account];
  const begun = accounts.map((each) => parts.sessions.beginWrite(each));
  const sent = await parts.clients.write({
    region,
    method: 'POST',
    path: `/accounts/${encodeURIComponent(account)}/${request.kind}`,
    body: {
      ...('to' in request ? { to: request.to } : {}),
      ...('amount' in request ? { amount: request.amount } : {}),
      requestId,
    },
    idempotencyKey: requestId,
  });
  const applied = sent.kind === 'done' ? appliedOf(sent.body, accounts) : undefined;
  const answer: Answer =
    sent.kind === 'done' && applied === undefined
      ? { kind: 'failed', code: 'ANSWER_UNREADABLE', outcome: 'unknown' }
      : sent;
  if (answer.kind === 'done' && applied !== undefined) {
    parts.ledger.acknowledge(requestId, applied);
    const { token } = answer;
    for (const each of begun) parts.sessions.endWrite(each, { effect: 'committed', region, token });
  } else {
    const unknown = answer.kind === 'failed' && answer.outcome === 'unknown';
    if (unknown) parts.ledger.doubt(requestId, accounts);
    const effect = unknown ? 'unknown' : 'none';
    for (const each of begun) parts.sessions.endWrite(each, { effect });
  }
  return resultOf(answer);
}

/** What the answer says it did; undefined unless it names exactly the accounts that were asked for. */
export function appliedOf(
  body: Readonly<Record<string, unknown>>,
  accounts: readonly string[],
): AppliedDeltas[] | undefined {
  const applied = body['applied'];
  if (!Array.isArray(applied) || applied.length !== accounts.length) return undefined;
  const deltas: AppliedDeltas[] = [];
  for (const [index, account] of accounts.entries()) {
    const item = applied[index] as Partial<AppliedDeltas> | null;
    const savingsDelta = Number(item?.savingsDelta);
    const checkingDelta = Number(item?.checkingDelta);
    const readable = Number.isSafeInteger(savingsDelta) && Number.isSafeInteger(checkingDelta);
    if (item?.account !== account || !readable) return undefined;
    deltas.push({ account, savingsDelta, checkingDelta });
  }
  return deltas;
}

function resultOf(answer: Answer): Outcome['result'] {
  switch (answer.kind) {
    case 'done': {
      const { attempts } = answer.body;
      return { kind: 'done', attempts: typeof attempts === 'number' ? attempts : 1 };
    }
    case 'refused':
      return { kind: 'refused' };
    case 'failed':
      return { kind: 'failed', code: answer.code };
  }
}
