/**
 * The client library's public types.
 *
 *   const db = await connect();
 *   const { value, token } = await db.account('alice').transaction(async (tx) => {
 *     const { rows } = await tx.query('SELECT balance FROM checking WHERE account_id = $1', ['alice']);
 *     ...
 *   });
 *   const read = await db.account('alice').read(fn, { staleness: 1_000, token });
 *
 * Guarantees. `transaction` is serializable at the range's leader. It is run again, whole, after a
 * serialization failure or a deadlock (bounded, with jitter), and once its group has a leader again
 * that it lost or did not find (for as long as its time limit allows); so its function must have
 * no effects outside the database. A commit whose outcome is not known throws
 * ERR_ENGINE_COMMIT_UNKNOWN with `outcome: 'unknown'` and is never repeated, unless it has an
 * idempotency key, with which repeating is safe. `read` with `staleness`
 * never returns data older than that; with `token` it includes every write the token has seen;
 * without either it is strong.
 */
import type { Token } from '../topology/position.ts';
import type { AccountHome, AccountId } from '../topology/routing.ts';
import type { SqlPool } from './sql-tools/pool.ts';

export interface QueryResult<Row> {
  readonly rows: readonly Row[];
  /** Rows returned or changed. */
  readonly rowCount: number;
}

export type Row = Record<string, unknown>;

/** One account's view of a transaction: unqualified table names are those of its range. */
export interface Transaction {
  query<R extends object = Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>>;
  /**
   * The same transaction as a pool of `pg`, for SQL tools: what they do belongs to it, and their own
   * BEGIN … COMMIT is a savepoint in it. With handles of several accounts, a savepoint is all of theirs.
   */
  pool(): SqlPool;
  /** 1 on the first run; rises when the whole function is run again. */
  readonly attempt: number;
  /** Aborted when the deadline passes or the caller's signal aborts. */
  readonly signal: AbortSignal;
}

export interface TransactionOptions {
  readonly signal?: AbortSignal;
  /** Bound on everything, retries included. */
  readonly timeoutMs?: number;
  /** Bound on runs after conflicts and full pools. Waiting for a leader has no bound but the time. */
  readonly retriesMax?: number;
  /** Bound on each statement, in whole milliseconds: ERR_STATEMENT_TIMEOUT, and no retry. */
  readonly statementTimeoutMs?: number;
  /** Bound on each wait for a lock, in whole milliseconds: ERR_LOCK_TIMEOUT, and no retry. */
  readonly lockTimeoutMs?: number;
}

/**
 * Makes a transaction take effect once, however often it is sent with the same key: a repeated one
 * does not run its function and returns what the first returned, with `replayed: true`. What is
 * returned is kept as JSON, and is what JSON makes of it the first time too.
 *
 * Only what was committed is kept: after a function that threw, the key is free. Another request with
 * the key throws ERR_IDEMPOTENCY_MISMATCH; a concurrent one waits, within its own time limit.
 */
export interface Idempotency {
  /** 1 to 255 visible ASCII characters; of the transaction's first account alone. */
  readonly key: string;
  /** Tells requests apart that share a key by mistake: at most 255 bytes, compared as they are. */
  readonly fingerprint?: string;
  /** How long the key is known, at least; default 24 hours. Between 1 second and 30 days. */
  readonly retentionMs?: number;
}

export interface AccountTransactionOptions extends TransactionOptions {
  /**
   * With it, a commit whose answer was lost is resolved: it is not `outcome: 'unknown'` unless the
   * leader stays out of reach until the time limit. Undefined: none.
   */
  readonly idempotency?: Idempotency | undefined;
}

export interface ReadOptions extends TransactionOptions {
  /** Milliseconds of staleness allowed. */
  readonly staleness?: number;
  /** From an earlier write or read; merged ones too. Undefined and '' ask for nothing. */
  readonly token?: Token | undefined;
}

/** What a finished transaction or read tells. */
export interface Committed<T> {
  readonly value: T;
  /** Give it to later reads that must see this one. */
  readonly token: Token;
  readonly attempts: number;
  /** Who answered: a leader or a replica. */
  readonly node: string;
  /** True: an earlier transaction with the same idempotency key did it, and this is its value. */
  readonly replayed: boolean;
}

export interface AccountClient {
  transaction<T>(
    run: (tx: Transaction) => Promise<T>,
    options?: AccountTransactionOptions,
  ): Promise<Committed<T>>;
  read<T>(run: (tx: Transaction) => Promise<T>, options?: ReadOptions): Promise<Committed<T>>;
  /**
   * A pool of `pg` for SQL tools that use it unchanged (docs/guides). A statement outside a transaction
   * is one of its own, run again as a whole when it conflicts; BEGIN … COMMIT is one serializable
   * transaction, bounded by `timeoutMs`, and its conflicts (40001) are the caller's to run again.
   */
  pool(options?: TransactionOptions): SqlPool;
  /** The same for reads alone, as fresh as asked; later reads through it never see less. */
  readPool(options?: ReadOptions): SqlPool;
}

export interface GlobalClient {
  /** Reads the global tables on the nearest replica; strong when neither option is given. */
  read<T>(run: (tx: Transaction) => Promise<T>, options?: ReadOptions): Promise<Committed<T>>;
  /** Writes the global tables, at the primary region; visible elsewhere after replication. */
  write<T>(
    run: (tx: Transaction) => Promise<T>,
    options?: TransactionOptions,
  ): Promise<Committed<T>>;
  /** As of an account, on the global tables; written at the primary region. */
  pool(options?: TransactionOptions): SqlPool;
  readPool(options?: ReadOptions): SqlPool;
}

export interface CreateAccountOptions extends TransactionOptions {
  /** Home region; the nearest other one while it is being drained. */
  readonly region: string;
  /** Every copy of the account stays in the regions of this residency. Left out: it may be anywhere. */
  readonly residency?: string | undefined;
  /** A random UUID when omitted. */
  readonly id?: AccountId;
}

export interface CreatedAccount {
  readonly id: AccountId;
  readonly home: AccountHome;
  /** Reads with it find the account everywhere. */
  readonly token: Token;
}

/** Counters since `connect`, for metrics. */
export interface ClientCounters {
  readonly transactions: number;
  readonly reads: number;
  readonly readsOnReplica: number;
  readonly readsOnLeader: number;
  /** Reads that a replica could not serve and that went to the leader. */
  readonly readsRedirected: number;
  /** Reads that a replica left without any answer, and that went elsewhere. */
  readonly replicasSilent: number;
  /** By error code. */
  readonly retries: Readonly<Record<string, number>>;
  readonly commitsUnknown: number;
  /** Commits over several groups. */
  readonly crossGroupCommitted: number;
  /** Attempts at them that were rolled back, once they had begun to commit. */
  readonly crossGroupAborted: number;
  readonly crossGroupUnknown: number;
  /** Halves that recovery finished, this process's own and others'. */
  readonly crossGroupRecovered: number;
  /** Transactions that an earlier one with the same idempotency key had done. */
  readonly replays: number;
}

export interface MeridianClient extends AsyncDisposable {
  readonly region: string;
  account(id: AccountId): AccountClient;
  readonly global: GlobalClient;
  createAccount(options: CreateAccountOptions): Promise<CreatedAccount>;
  /** Throws ERR_ACCOUNT_NOT_FOUND. `fresh` asks the primary instead of the local copy. */
  locate(
    id: AccountId,
    options?: {
      readonly fresh?: boolean;
      readonly signal?: AbortSignal;
      readonly timeoutMs?: number;
    },
  ): Promise<AccountHome>;
  /**
   * One transaction over several accounts: all of it or nothing. Serializable when they live in one
   * group; over several, serializable in each of them (docs/guides/transactions.md says what that
   * leaves open). ERR_CROSS_GROUP_TRANSACTION on an engine that cannot do that.
   */
  transaction<const Ids extends readonly AccountId[], T>(
    ids: Ids,
    run: (handles: Readonly<Record<Ids[number], Transaction>>) => Promise<T>,
    options?: AccountTransactionOptions,
  ): Promise<Committed<T>>;
  counters(): ClientCounters;
  close(): Promise<void>;
}
