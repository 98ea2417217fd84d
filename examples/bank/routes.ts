/**
 * The bank over HTTP. Reads are served in the region that was asked, as stale as the caller allows;
 * writes run where the gateway sent them: at the account's home.
 *
 * A write with an `Idempotency-Key` happens once: repeated, it is answered as it was the first time.
 *
 * Every answer carries `meridian-token`: sent back with a later read, that read includes this request.
 */
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import {
  idempotencyOf,
  type AccountTransactionOptions,
  type Committed,
  type MeridianClient,
  type ReadOptions,
  type Transaction,
} from 'meridian';
import { openAccount, readStatement, type OpenAccountRequest } from './accounts.ts';
import { decide, outcomeOf } from './kept-refusal.ts';
import { problemOf } from './problems.ts';
import { readCountry, readCurrencies } from './reference.ts';
import { schemas } from './schemas.ts';
import * as bank from './transactions.ts';
import type { Applied } from './transactions.ts';

/** For reads that don't say. */
const DEFAULT_STALENESS_MS = 2_000;

export interface BankServerOptions {
  /** Names this server in answers; unique among running ones. */
  readonly name: string;
  /** Gets faults that clients are not told. */
  readonly reportFault: (error: unknown) => void;
}

interface Account {
  readonly account: string;
}

interface Staleness {
  readonly staleness?: string;
}

type Write<Body> = FastifyRequest<{ Params: Account; Body: Body }>;

export function buildServer(db: MeridianClient, options: BankServerOptions): FastifyInstance {
  const server = fastify({
    bodyLimit: 64 * 1024,
    // While it closes, what arrives on connections that are still open is answered like any other.
    // Fastify's own refusal would say neither whether anything happened nor whether to come back.
    return503OnClosing: false,
    // A number sent as text is the caller's mistake, and so is a field nobody reads.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  server.setErrorHandler(async (error, _request, reply) => {
    const problem = problemOf(error);
    if (problem.status === 500) options.reportFault(error);
    return reply.code(problem.status).headers(problem.headers).send(problem.body);
  });
  // Lets a load driver tell retries by cause, without asking each server.
  server.addHook('onSend', async (_request, reply) => {
    reply.header('bank-server', options.name);
    reply.header('bank-retries', JSON.stringify(db.counters().retries));
  });
  addReads(server, db);
  addWrites(server, db);
  addTransfers(server, db);
  return server;
}

function addReads(server: FastifyInstance, db: MeridianClient): void {
  server.get('/healthz', async () => ({ status: 'ok', region: db.region }));

  server.get<{ Params: Account; Querystring: Staleness }>(
    '/accounts/:account/balance',
    { schema: schemas.balance },
    async (request, reply) => {
      const read = await readStatement(db, request.params.account, readOptions(request));
      return answer(reply, read, { ...read.value });
    },
  );

  server.get<{ Querystring: Staleness }>(
    '/currencies',
    { schema: schemas.currencies },
    async (request, reply) => {
      const read = await readCurrencies(db, readOptions(request));
      return answer(reply, read, { currencies: read.value });
    },
  );

  server.get<{ Params: { readonly code: string }; Querystring: Staleness }>(
    '/countries/:code',
    { schema: schemas.country },
    async (request, reply) => {
      const read = await readCountry(db, request.params.code, readOptions(request));
      if (read.value === undefined) reply.code(404);
      return answer(reply, read, { country: read.value ?? null });
    },
  );
}

function addWrites(server: FastifyInstance, db: MeridianClient): void {
  server.post<{ Body: OpenAccountRequest }>(
    '/accounts',
    { schema: schemas.open },
    async (request, reply) => {
      const opened = await openAccount(db, request.body, writeOptions(request));
      reply.code(opened.value.created ? 201 : 200);
      return answer(reply, opened, { ...opened.value });
    },
  );

  type Amount = Omit<bank.AmountRequest, 'account'>;
  const add = (
    name: string,
    schema: object,
    run: (tx: Transaction, request: bank.AmountRequest) => Promise<Applied[]>,
  ): void => {
    server.post(
      `/accounts/:account/${name}`,
      { schema },
      async (request: Write<Amount>, reply: FastifyReply) => {
        const { account } = request.params;
        const written = await db
          .account(account)
          .transaction(
            (tx) => decide(() => run(tx, { ...request.body, account })),
            writeOptions(request),
          );
        const done = outcomeOf(written);
        return answer(reply, done, { applied: done.value });
      },
    );
  };
  add('deposit-checking', schemas.deposit, bank.depositChecking);
  add('transact-savings', schemas.transactSavings, bank.transactSavings);
  add('write-check', schemas.deposit, bank.writeCheck);
}

/** Transactions over two accounts: one handle each, one commit. */
function addTransfers(server: FastifyInstance, db: MeridianClient): void {
  // Each schema lets through what its transaction reads: an amalgamation has no amount.
  type Transfer = Omit<bank.PaymentRequest, 'account'>;
  const add = (
    name: string,
    schema: object,
    run: (handles: bank.Handles, request: bank.PaymentRequest) => Promise<Applied[]>,
  ): void => {
    server.post(
      `/accounts/:account/${name}`,
      { schema },
      async (request: Write<Transfer>, reply: FastifyReply) => {
        const { account } = request.params;
        const { to } = request.body;
        if (to === account) {
          throw Object.assign(new Error('`to` must be another account'), { statusCode: 400 });
        }
        const written = await db.transaction(
          [account, to],
          (handles) => {
            const between = {
              from: handles[account] as Transaction,
              to: handles[to] as Transaction,
            };
            return decide(() => run(between, { ...request.body, account }));
          },
          writeOptions(request),
        );
        const done = outcomeOf(written);
        return answer(reply, done, { applied: done.value });
      },
    );
  };
  add('amalgamate', schemas.amalgamate, bank.amalgamate);
  add('send-payment', schemas.payment, bank.sendPayment);
}

/** Adds what the platform tells about the transaction: the token, who answered, how many runs. */
function answer(
  reply: FastifyReply,
  committed: Committed<unknown>,
  body: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  reply.header('meridian-token', committed.token);
  if (committed.replayed) reply.header('idempotency-replayed', 'true');
  return { ...body, node: committed.node, attempts: committed.attempts };
}

/** The deadline travels with the request: what the gateway and the client have left. */
function timeout(request: Pick<FastifyRequest, 'headers'>): { timeoutMs?: number } {
  const header = request.headers['meridian-timeout-ms'];
  if (typeof header !== 'string' || !/^[1-9][0-9]{0,6}$/.test(header)) return {};
  return { timeoutMs: Number(header) };
}

function writeOptions(request: FastifyRequest): AccountTransactionOptions {
  return { ...timeout(request), idempotency: idempotencyOf(request) };
}

function readOptions(request: FastifyRequest<{ Querystring: Staleness }>): ReadOptions {
  const token = request.headers['meridian-token'];
  return {
    ...timeout(request),
    staleness: Number(request.query.staleness ?? DEFAULT_STALENESS_MS),
    token: typeof token === 'string' ? token : undefined,
  };
}
