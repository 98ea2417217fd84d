/**
 * Opens a run's accounts through the gateways of their home regions. Every run has its own, so that
 * the ledger knows all that ever happened to them; data of earlier runs stays where it is.
 */
import { forEachBounded } from './bounded.ts';
import type { Answer, GatewayClients } from './client.ts';
import type { Ledger } from './ledger.ts';
import type { Sessions } from './sessions.ts';

export interface SetupOptions {
  readonly runId: string;
  readonly regions: readonly string[];
  readonly accountsPerRegion: number;
  readonly stop: AbortSignal;
}

export interface SetupParts {
  readonly clients: GatewayClients;
  readonly ledger: Ledger;
  readonly sessions: Sessions;
}

/** BenchBase's smallest: 10,000.00 in each. */
const INITIAL_BALANCE = 1_000_000;
const CONCURRENCY_PER_REGION = 12;
const ATTEMPTS_MAX = 10;
const RETRY_DELAY_MS = 200;

/** One currency per region: two-account transactions stay within a region. */
const PLACES = [
  { country: 'US', currency: 'USD' },
  { country: 'IE', currency: 'EUR' },
  { country: 'IN', currency: 'INR' },
  { country: 'JP', currency: 'JPY' },
] as const;

/** Gives the accounts by home region, in no telling order. */
export async function openAccounts(
  parts: SetupParts,
  options: SetupOptions,
): Promise<Record<string, string[]>> {
  const accounts: Record<string, string[]> = {};
  await Promise.all(
    options.regions.map(async (region, index) => {
      const opened: string[] = [];
      accounts[region] = opened;
      const numbers = Array.from({ length: options.accountsPerRegion }, (_, number) => number);
      const limits = { concurrency: CONCURRENCY_PER_REGION, stop: options.stop };
      await forEachBounded(numbers, limits, async (number) => {
        const id = `${options.runId}.${region}.${String(number)}`;
        const place = PLACES[index % PLACES.length] ?? PLACES[0];
        await openAccount(parts, { id, region, ...place, name: `Customer ${String(number)}` });
        opened.push(id);
      });
      // The order of answers differs from run to run; what the seed picks must not.
      opened.sort();
    }),
  );
  return accounts;
}

interface Opening {
  readonly id: string;
  readonly region: string;
  readonly country: string;
  readonly currency: string;
  readonly name: string;
}

async function openAccount(parts: SetupParts, opening: Opening): Promise<void> {
  const { id, region } = opening;
  const requestId = `${id}.open`;
  const balances = { savings: INITIAL_BALANCE, checking: INITIAL_BALANCE };
  const body = { ...opening, ...balances, requestId };
  let answer: Answer | undefined;
  // Opening is idempotent: the same id completes what an earlier attempt began.
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    answer = await parts.clients.call({
      ...{ region, method: 'POST', path: '/accounts', body },
      idempotencyKey: requestId,
    });
    if (answer.kind === 'done') {
      const deltas = { savingsDelta: balances.savings, checkingDelta: balances.checking };
      parts.ledger.open({ account: id, ...deltas }, requestId);
      parts.sessions.open(id, { region, token: answer.token });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS * attempt));
  }
  const reason = answer?.kind === 'failed' ? answer.code : JSON.stringify(answer);
  throw new Error(`could not open ${id} in ${region}: ${reason}`);
}
