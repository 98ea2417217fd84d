/**
 * What an action means in SQL: the same for the app server behind the gateways and for clients that use
 * the library themselves. An action comes back with what it read.
 *
 * A row that is inserted again is no error: a client that was not told whether its insert happened
 * sends it again, and to answer that is a promise about the row that is there.
 */
import type {
  AccountTransactionOptions,
  Committed,
  MeridianClient,
  ReadOptions,
  Transaction,
  TransactionOptions,
} from '../client/api.ts';
import type { Token } from '../topology/position.ts';
import type { Action, Asked, ListStep } from './history.ts';
import { Refused } from './outcome.ts';

/** An action as it was answered. */
export interface Performed {
  readonly action: Action;
  readonly token: Token;
  readonly node: string;
}

type Of<Kind extends Action['kind']> = Extract<Action, { readonly kind: Kind }>;

/** The account whose home the action goes to. */
export function accountOf(action: Action): string {
  switch (action.kind) {
    case 'register-read':
    case 'register-write':
    case 'register-swap':
      return action.register;
    case 'list':
      return listAccount(action.steps[0]?.key ?? '');
    case 'transfer':
      return action.from;
    case 'balances':
      return Object.keys(action.balances ?? {})[0] ?? '';
    case 'insert':
      return action.account;
  }
}

/** Lists are named "<account>#<number>". */
export function listAccount(key: string): string {
  return key.split('#')[0] ?? '';
}

/** `balances` of the action names the accounts to be read. Rejects as the library does. */
export async function performAction(
  db: MeridianClient,
  action: Action,
  options: AccountTransactionOptions,
): Promise<Performed> {
  switch (action.kind) {
    case 'register-write':
    case 'register-swap':
      return writeRegister(db, action, options);
    case 'register-read':
      return readRegister(db, action, options);
    case 'list':
      return lists(db, action, options);
    case 'transfer':
      return transfer(db, action, options);
    case 'balances':
      return readBalances(db, action, options);
    case 'insert': {
      const { account, id } = action;
      const done = await db.account(account).transaction(async (tx) => {
        await tx.query(
          'INSERT INTO inserted (account_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING',
          [account, id],
        );
      }, options);
      return told(done, action);
    }
  }
}

function told({ token, node }: Committed<unknown>, action: Action): Performed {
  return { action, token, node };
}

async function writeRegister(
  db: MeridianClient,
  action: Of<'register-write' | 'register-swap'>,
  options: AccountTransactionOptions,
): Promise<Performed> {
  const { register, value } = action;
  const swap = action.kind === 'register-swap';
  const done = await db.account(register).transaction(async (tx) => {
    const { rowCount } = await tx.query(
      swap
        ? 'UPDATE register SET value = $2 WHERE account_id = $1 AND value IS NOT DISTINCT FROM $3::bigint'
        : 'UPDATE register SET value = $2 WHERE account_id = $1',
      swap ? [register, value, action.expected] : [register, value],
    );
    if (!swap && rowCount !== 1) throw new Refused('no such register');
    return rowCount === 1;
  }, options);
  return told(done, swap ? { ...action, swapped: done.value } : action);
}

async function readRegister(
  db: MeridianClient,
  action: Of<'register-read'>,
  options: TransactionOptions,
): Promise<Performed> {
  const { register, asked } = action;
  const done = await db.account(register).read(
    async (tx) => {
      const { rows } = await tx.query<{ value: unknown }>(
        'SELECT value FROM register WHERE account_id = $1',
        [register],
      );
      const value = rows[0]?.value;
      return value === null || value === undefined ? null : Number(value);
    },
    { ...options, ...freshness(asked) },
  );
  return told(done, { ...action, value: done.value });
}

function freshness(asked: Asked): ReadOptions {
  switch (asked.kind) {
    case 'strong':
      return {};
    case 'bounded':
      return { staleness: asked.maxStalenessMs };
    case 'token':
      return { token: asked.token };
  }
}

async function lists(
  db: MeridianClient,
  action: Of<'list'>,
  options: AccountTransactionOptions,
): Promise<Performed> {
  const accounts = [...new Set(action.steps.map(({ key }) => listAccount(key)))];
  const done = await db.transaction(
    accounts,
    async (handles) => {
      const steps: ListStep[] = [];
      for (const step of action.steps) {
        steps.push(await listStep(handles[listAccount(step.key)] as Transaction, step));
      }
      return steps;
    },
    options,
  );
  return told(done, { kind: 'list', steps: done.value });
}

async function listStep(tx: Transaction, step: ListStep): Promise<ListStep> {
  const account = listAccount(step.key);
  if (step.kind === 'append') {
    await tx.query(
      `INSERT INTO list (account_id, key, items) VALUES ($1, $2, ARRAY[$3::bigint])
       ON CONFLICT (account_id, key) DO UPDATE SET items = list.items || EXCLUDED.items`,
      [account, step.key, step.value],
    );
    return step;
  }
  const { rows } = await tx.query<{ items: readonly unknown[] }>(
    'SELECT items FROM list WHERE account_id = $1 AND key = $2',
    [account, step.key],
  );
  return { ...step, values: (rows[0]?.items ?? []).map(Number) };
}

async function transfer(
  db: MeridianClient,
  action: Of<'transfer'>,
  options: AccountTransactionOptions,
): Promise<Performed> {
  const { from, to, amount, id } = action;
  const done = await db.transaction(
    [from, to],
    async (handles) => {
      const entry = await move(handles[from] as Transaction, { account: from, id, by: -amount });
      await move(handles[to] as Transaction, { account: to, id, by: amount });
      // The debit's own name: were the transfer done again, the answer would differ.
      return entry;
    },
    options,
  );
  const answers = action.key === undefined ? {} : { answers: [done.value] };
  return told(done, { ...action, ...answers });
}

async function move(
  tx: Transaction,
  { account, id, by }: { readonly account: string; readonly id: string; readonly by: number },
): Promise<string> {
  const { rows } = await tx.query<{ entry_id: string }>(
    `WITH moved AS (
       UPDATE purse SET balance = balance + $2::bigint
       WHERE account_id = $1 AND balance + $2::bigint >= 0 RETURNING account_id
     )
     INSERT INTO transfer (account_id, id, delta)
     SELECT account_id, $3, $2::bigint FROM moved RETURNING entry_id`,
    [account, by, id],
  );
  const [row] = rows;
  if (row === undefined) throw new Refused('not enough money');
  return row.entry_id;
}

async function readBalances(
  db: MeridianClient,
  action: Of<'balances'>,
  options: AccountTransactionOptions,
): Promise<Performed> {
  const accounts = Object.keys(action.balances ?? {});
  const done = await db.transaction(
    accounts,
    async (handles) => {
      // In one flight: from far away each wait is a round trip over the ocean.
      const reads = await Promise.allSettled(
        accounts.map(async (account) => balanceOf(handles[account] as Transaction, account)),
      );
      const found: Record<string, number> = {};
      reads.forEach((read, index) => {
        if (read.status === 'rejected') throw read.reason;
        found[accounts[index] ?? ''] = read.value;
      });
      return found;
    },
    options,
  );
  return told(done, { ...action, balances: done.value });
}

async function balanceOf(tx: Transaction, account: string): Promise<number> {
  const { rows } = await tx.query<{ balance: unknown }>(
    'SELECT balance FROM purse WHERE account_id = $1',
    [account],
  );
  return Number(rows[0]?.balance ?? Number.NaN);
}
