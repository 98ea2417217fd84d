/**
 * What is there when all is over: registers, lists and balances by strong reads of the library, as any
 * client would have them (and written down in the history, so that the checkers judge them like any
 * read); rows and transfers by SQL at the leaders, past everything; and every copy compared.
 */
import type { MeridianClient } from '../client/api.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { RoutingView } from '../topology/routing.ts';
import { copiesOf } from './copies.ts';
import { libraryDoor } from './doors.ts';
import type { AccountHomes, Action, FinalState, Operation } from './history.ts';
import { listAccount } from './actions.ts';
import { quoteIdentifier, quoteLiteral } from '../engines/postgres/quote.ts';
import type { Recorder } from './recorder.ts';
import { TABLES } from './schema.ts';
import type { Servers } from './servers.ts';
import type { Account } from './workloads/workload.ts';

export interface FinalGround {
  readonly db: MeridianClient;
  readonly view: RoutingView;
  readonly servers: Servers;
  readonly recorder: Recorder;
  readonly clock: Clock;
  /** By workload. */
  readonly accounts: Readonly<Record<string, readonly Account[]>>;
}

const CLIENT = 'final';
const READS_MAX = 3;
const KEYS_AT_ONCE = 8;
const PARALLEL = 4;

export async function readFinalState(ground: FinalGround): Promise<FinalState> {
  const { recorder, view, servers, clock } = ground;
  const keys = listKeys(recorder.operations());
  const [registers, lists, balances] = [
    await readRegisters(ground),
    await readLists(ground, keys),
    await readBalances(ground),
  ];
  const leaders = Object.values(view.groups).map((group) => {
    if (group.leader !== undefined) return { ...group, leader: group.leader };
    throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group.name} is not open`);
  });
  const rows: Record<string, string[]> = {};
  const transfers: Record<string, number> = {};
  const homes = new Map<string, string[]>();
  for (const { leader, name } of leaders) {
    await readInserted(servers, leader, rows);
    await readTransfers(servers, leader, transfers);
    await readHomes(servers, { leader, group: name }, homes);
  }
  const copies = await Promise.all(
    leaders.map(({ name, leader, nodes }) => {
      const replicas = nodes.map((node) => node.name).filter((node) => node !== leader);
      return copiesOf(servers, clock, { group: name, leader, replicas });
    }),
  );
  return {
    ...{ rows, registers, lists, balances, transfers, copies: copies.flat() },
    homes: await toldHomes(ground, homes),
  };
}

/** A read that must succeed: nothing is broken any more. */
async function strongRead(ground: FinalGround, action: Action): Promise<Action> {
  const door = libraryDoor(ground.db);
  const who = { client: CLIENT, door };
  let code: string | undefined;
  for (let attempt = 1; attempt <= READS_MAX; attempt += 1) {
    const answer = await ground.recorder.run(who, action, async () => ({
      answer: await door.send(action),
    }));
    if (answer.outcome === 'ok') return answer.action;
    code = answer.code;
  }
  throw new MeridianError('ERR_VERIFICATION_FAILED', `a last read failed: ${code ?? ''}`);
}

async function readRegisters(ground: FinalGround): Promise<Record<string, number | null>> {
  const found: Record<string, number | null> = {};
  await each(ground.accounts['registers'] ?? [], async ({ id }) => {
    const asked = { kind: 'strong' } as const;
    const action = await strongRead(ground, { kind: 'register-read', register: id, asked });
    if (action.kind === 'register-read') found[id] = action.value ?? null;
  });
  return found;
}

async function readLists(
  ground: FinalGround,
  keys: readonly string[],
): Promise<Record<string, readonly number[]>> {
  const found: Record<string, readonly number[]> = {};
  await each(batches(keys), async (batch) => {
    const steps = batch.map((key) => ({ kind: 'read', key }) as const);
    const action = await strongRead(ground, { kind: 'list', steps });
    if (action.kind !== 'list') return;
    for (const step of action.steps) {
      if (step.kind === 'read') found[step.key] = step.values ?? [];
    }
  });
  return found;
}

async function readBalances(ground: FinalGround): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  const accounts = ground.accounts['bank'] ?? [];
  for (const group of new Set(accounts.map((account) => account.group))) {
    const inGroup = accounts.filter((account) => account.group === group);
    const balances = Object.fromEntries(inGroup.map(({ id }) => [id, 0]));
    const action = await strongRead(ground, { kind: 'balances', group, balances });
    if (action.kind === 'balances') Object.assign(found, action.balances);
  }
  return found;
}

async function each<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const next = items.values();
  const worker = async (): Promise<void> => {
    for (const item of next) await run(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

function listKeys(operations: readonly Operation[]): string[] {
  const keys = new Set<string>();
  for (const { action } of operations) {
    if (action.kind === 'list') for (const { key } of action.steps) keys.add(key);
  }
  return [...keys].sort();
}

/** Of one account each. */
function batches(keys: readonly string[]): string[][] {
  const found: string[][] = [];
  for (const key of keys) {
    const last = found.at(-1);
    const fits =
      last !== undefined &&
      last.length < KEYS_AT_ONCE &&
      listAccount(last[0] ?? '') === listAccount(key);
    if (fits) last.push(key);
    else found.push([key]);
  }
  return found;
}

/** A statement over the same table in every range of a group. */
async function overRanges<Row extends object>(
  servers: Servers,
  node: string,
  sql: (schema: string, range: string) => string,
): Promise<Row[]> {
  const ranges = await servers.query<{ name: string }>(
    node,
    'SELECT name FROM meridian.range ORDER BY 1',
  );
  const rows: Row[] = [];
  for (const { name } of ranges) {
    rows.push(...(await servers.query<Row>(node, sql(quoteIdentifier(name), name))));
  }
  return rows;
}

async function readInserted(
  servers: Servers,
  leader: string,
  into: Record<string, string[]>,
): Promise<void> {
  const rows = await overRanges<{ account_id: string; ids: string[] }>(
    servers,
    leader,
    (schema) =>
      `SELECT account_id, array_agg(id ORDER BY number, id) AS ids FROM ${schema}.inserted GROUP BY 1`,
  );
  for (const { account_id: account, ids } of rows)
    into[account] = [...(into[account] ?? []), ...ids];
}

/** Of accounts that have rows: in which ranges, looked at past everything. */
async function readHomes(
  servers: Servers,
  { leader, group }: { readonly leader: string; readonly group: string },
  into: Map<string, string[]>,
): Promise<void> {
  const tables = Object.entries(TABLES).filter(([, { kind }]) => kind === 'regional');
  const rows = await overRanges<{ account_id: string; range: string }>(
    servers,
    leader,
    (schema, range) =>
      `SELECT DISTINCT account_id, ${quoteLiteral(range)} AS range FROM (${tables
        .map(([table]) => `SELECT account_id FROM ${schema}.${table}`)
        .join(' UNION ALL ')}) AS there`,
  );
  for (const { account_id: account, range } of rows) {
    into.set(account, [...(into.get(account) ?? []), `${range} in ${group}`]);
  }
}

async function toldHomes(
  { accounts, db }: FinalGround,
  found: ReadonlyMap<string, readonly string[]>,
): Promise<AccountHomes[]> {
  const homes: AccountHomes[] = [];
  await each(Object.values(accounts).flat(), async ({ id: account }) => {
    const { range, group } = await db.locate(account, { fresh: true });
    homes.push({ account, found: found.get(account) ?? [], told: `${range} in ${group}` });
  });
  return homes.toSorted((a, b) => (a.account < b.account ? -1 : 1));
}

/** Both sides are looked at: a transfer of which one side is missing still counts, and the sums differ. */
async function readTransfers(
  servers: Servers,
  leader: string,
  into: Record<string, number>,
): Promise<void> {
  const rows = await overRanges<{ id: string; applied: string }>(
    servers,
    leader,
    (schema) =>
      `SELECT id, greatest(count(*) FILTER (WHERE delta < 0), count(*) FILTER (WHERE delta > 0))
         AS applied FROM ${schema}.transfer GROUP BY 1`,
  );
  for (const { id, applied } of rows) into[id] = Math.max(into[id] ?? 0, Number(applied));
}
