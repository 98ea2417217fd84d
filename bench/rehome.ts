/**
 * Many accounts are given another home in one plan, while some of them are written to: how long it takes, and
 * how long each of those waits.
 *
 *   npm run bench -- rehome [accounts] [zone|region]
 *
 * All go from one region to the next, with the default distances, ten rows each. One writer each has sixteen of
 * them, spread over all, and four accounts of the same range that stay. A pause is the longest time without an
 * acknowledged write to an account, from the beginning to the end, whatever it comes from. The table is
 * written to bench/results/rehome.json too. Exit code 1 when a request failed or an account is not where it
 * should be.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OperationEvent } from '../src/control/operation.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { libraryDoor } from '../src/verify/doors.ts';
import { RESULTS } from './cluster/results-folder.ts';
import { Load, type Ack } from './failover/load.ts';
import { layoutsNamed, overLayouts } from './failover/over-layouts.ts';
import type { Stand } from './failover/stand.ts';
import { formatTable, rowOf, type Row } from './failover/table.ts';
import { interruption } from './measuring/interrupted.ts';

const ROWS_PER_ACCOUNT = 10;
const WRITTEN = 16;
const THINK_MS = 10;
/** None is set: told, and compared with from one version to the next. */
const NO_AIM = { max: Infinity };

const [accountsText = '10000', only] = process.argv.slice(2);
const many = Number(accountsText);
if (!Number.isSafeInteger(many) || many < WRITTEN) {
  throw new Error(`how many accounts? At least ${String(WRITTEN)}`);
}
const layouts = layoutsNamed(only);

const signal = interruption(() => {
  console.log('ending: the cluster is taken down first');
});

interface Measured {
  readonly layout: string;
  readonly accounts: number;
  readonly bytes: number;
  readonly tookMs: number;
  readonly accountsPerSecond: number;
  /** How often it was told how far it is. */
  readonly progressTold: number;
  readonly acknowledged: number;
}

const rows: Row[] = [];
const measured: Measured[] = [];
const failures: string[] = [];

const idOf = (number: number): string => `many-${String(number)}`;

/** Past the library, which would take a round trip to the primary for each. */
async function openMany({ servers, groups, cluster }: Stand, range: string): Promise<number> {
  const { view } = cluster.observer.control;
  const { leader: primary } = await groups.open(view.primaryGroup);
  const numbers = `generate_series(1, ${String(many)}) AS n`;
  await servers.query(
    primary,
    `INSERT INTO meridian.account (id, range) SELECT 'many-' || n, '${range}' FROM ${numbers}`,
  );
  const { leader } = await groups.open(view.ranges[range]?.group ?? '');
  await servers.query(
    leader,
    `INSERT INTO ${range}.inserted (account_id, id) SELECT 'many-' || n, 'row ' || row || ' ' || md5(n::text)
     FROM ${numbers}, generate_series(1, ${String(ROWS_PER_ACCOUNT)}) AS row`,
  );
  const [sum] = await servers.query<{ bytes: string }>(
    leader,
    `SELECT pg_table_size('${range}.inserted') AS bytes`,
  );
  return Number(sum?.bytes);
}

async function measure(stand: Stand): Promise<void> {
  const { layout, cluster, groups, accounts } = stand;
  const [from = '', to = ''] = groups.names;
  const staying = accounts[from] ?? [];
  const { range } = await cluster.observer.locate(staying[0] ?? '');
  const bytes = await openMany(stand, range);
  const written = Array.from({ length: WRITTEN }, (_, n) =>
    idOf(1 + Math.floor((n * many) / WRITTEN)),
  );
  const homes = [from, to].map((name) => groups.seen(name).homeRegion);
  const doors = cluster.placed
    .filter(({ region }) => homes.includes(region))
    .map(({ db }) => libraryDoor(db));
  const used = [...written, ...staying];
  await using load = new Load({ doors, accounts: used, writers: used.length, thinkMs: THINK_MS });
  for (const account of used) await load.next((ack) => ack.account === account);
  let progressTold = 0;
  const phases: { readonly phase: string; readonly atMs: number }[] = [];
  const onEvent = (event: OperationEvent): void => {
    if (event.kind === 'progress') progressTold += 1;
    if (event.kind === 'phase') phases.push(event);
  };
  const startedMs = performance.now();
  const going = Array.from({ length: many }, (_, n) => idOf(n + 1));
  await cluster.platform.operate({ kind: 'rehome', accounts: going, to }, { onEvent });
  const tookMs = Math.round(performance.now() - startedMs);
  for (const account of used) await load.next((ack) => ack.account === account);
  const endedMs = performance.now();
  const pauseOf = (account: string): number =>
    load.longestPause(startedMs, endedMs, (ack) => ack.account === account).pauseMs;
  const [worst] = written.toSorted((a, b) => pauseOf(b) - pauseOf(a));
  const ofWorst = (ack: Ack): boolean => ack.account === worst;
  const { sinceMs, pauseMs } = load.longestPause(startedMs, endedMs, ofWorst);
  const at = sinceMs - startedMs;
  const near = phases.filter(({ atMs }) => atMs > at - 1_000 && atMs < at + pauseMs + 500);
  console.log(
    `${layout}: the longest pause, ${pauseMs.toFixed(0)} ms, began after ${at.toFixed(0)} ms; around it: ${near.map(({ phase, atMs }) => `${phase} ${(atMs - at).toFixed(0)}`).join(', ')}`,
  );
  rows.push(
    rowOf({ layout, what: 'an account that goes', aim: NO_AIM }, written.map(pauseOf)),
    rowOf({ layout, what: 'an account that stays', aim: NO_AIM }, staying.map(pauseOf)),
  );
  measured.push({
    ...{ layout, accounts: many, bytes, tookMs, progressTold },
    accountsPerSecond: Math.round((many * 1_000) / tookMs),
    acknowledged: load.acks.filter((ack) => ack.endedMs > startedMs).length,
  });
  const failed = Object.entries(load.failed);
  if (failed.length > 0) failures.push(`${layout}: ${JSON.stringify(Object.fromEntries(failed))}`);
  await checkHomes(stand, { to, staying });
}

async function checkHomes(
  { cluster, servers, groups, layout }: Stand,
  { to, staying }: { readonly to: string; readonly staying: readonly string[] },
): Promise<void> {
  const { view } = cluster.observer.control;
  const { leader } = await groups.open(view.primaryGroup);
  const there = Object.keys(view.ranges).filter((name) => view.ranges[name]?.group === to);
  const [row] = await servers.query<{ arrived: string }>(
    leader,
    `SELECT count(*) AS arrived FROM meridian.account
     WHERE id LIKE 'many-%' AND range = ANY (ARRAY['${there.join("', '")}'])`,
  );
  if (Number(row?.arrived) !== many) {
    failures.push(`${layout}: ${row?.arrived ?? 'none'} of ${String(many)} accounts are in ${to}`);
  }
  const target = await groups.open(to);
  const [found] = await servers.query<{ rows: string }>(
    target.leader,
    there
      .map((range) => `SELECT count(*) AS rows FROM ${range}.inserted WHERE id LIKE 'row %'`)
      .join(' UNION ALL ')
      .replace(/^/, 'SELECT sum(rows) AS rows FROM (')
      .concat(') AS there'),
  );
  const expected = many * ROWS_PER_ACCOUNT;
  if (Number(found?.rows) !== expected) {
    failures.push(`${layout}: ${found?.rows ?? 'no'} of ${String(expected)} rows are in ${to}`);
  }
  for (const account of staying) {
    if ((await cluster.observer.locate(account, { fresh: true })).group === to) {
      failures.push(`${layout}: ${account} went along`);
    }
  }
}

const versions = await overLayouts(layouts, signal, measure);

const measuredAt = new Date(systemClock.now()).toISOString();
const result = { measuredAt, versions, failures, measured, pauses: rows };
await mkdir(RESULTS, { recursive: true });
await writeFile(join(RESULTS, 'rehome.json'), `${JSON.stringify(result, undefined, 2)}\n`);
for (const { layout, accounts, bytes, tookMs, accountsPerSecond, acknowledged } of measured) {
  console.log(
    `${layout}: ${String(accounts)} accounts, ${(bytes / 1e6).toFixed(1)} MB, in ${(tookMs / 1_000).toFixed(1)} s: ${String(accountsPerSecond)} a second; ${String(acknowledged)} writes were acknowledged meanwhile`,
  );
}
console.log(['', formatTable(rows), ''].join('\n'));
for (const failure of failures) console.log(`FAILED: ${failure}`);
process.exitCode = failures.length === 0 ? 0 : 1;
