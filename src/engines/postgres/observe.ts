/**
 * Asks every running node at once and puts the answers into one frozen snapshot. A node that does not
 * answer in time is unknown, never absent.
 */
import type { Cluster } from './cluster.ts';
import type { ClusterGroup, ClusterNode } from './cluster-state.ts';
import { votesAsDeclared } from './voters.ts';
import { readMarker, checkMarker } from './initialise.ts';
import type {
  AppliedMigration,
  ClusterSnapshot,
  InDoubt,
  ObservedGroup,
  ObservedNode,
  ObservedRange,
} from '../snapshot.ts';
import type { GroupName } from '../../topology/position.ts';
import { coordinatorOf, type PreparedTransaction } from '../two-phase.ts';
import type { Moves } from './ranges/moves.ts';
import type { Transfers } from './ranges/transfers.ts';
import { preparedOn } from './two-phase.ts';

interface NodeAnswer {
  readonly role: ObservedNode['role'];
  readonly streaming: boolean;
  readonly position: bigint | null;
  readonly lagMs: number | null;
}

interface GroupAnswer {
  readonly schemaVersion: number;
  readonly migrations: readonly (AppliedMigration & { readonly scope: string })[];
  readonly ranges: readonly { name: string; epoch: number; state: 'open' | 'closed' }[];
  readonly accounts: number | null;
  readonly globalLagBytes: Readonly<Record<string, number>>;
  readonly inDoubt: InDoubt;
}

export async function observeCluster(
  cluster: Cluster,
  { moves, transfers }: { readonly moves: Moves; readonly transfers: Transfers },
): Promise<ClusterSnapshot> {
  const [nodes, groups] = await Promise.all([
    Promise.all([...cluster.nodes.values()].map((node) => observeNode(cluster, node))),
    Promise.all([...cluster.groups.values()].map((group) => askGroup(cluster, group))),
  ]);
  const positions = new Map(nodes.map((node) => [node.name, node.position]));
  const globalLag = Object.assign({}, ...groups.map((one) => one.answer?.globalLagBytes)) as Record<
    string,
    number
  >;
  const accounts =
    groups.map((one) => one.answer?.accounts ?? null).find((count) => count !== null) ?? null;
  return deepFreeze({
    atMs: cluster.services.clock.now(),
    nodes: byName(
      nodes.map((node): ObservedNode => {
        const leaderAt = positions.get(cluster.group(node.group).leader) ?? null;
        const lag =
          leaderAt === null || node.position === null ? null : Number(leaderAt - node.position);
        return { ...node, lagBytes: lag === null ? null : Math.max(0, lag) };
      }),
    ),
    groups: byName(
      groups.map(({ group, answer }) => ({
        ...observedGroup(group, { answer, globalLag, accounts }),
        ...leadershipOf(cluster, group),
        draining: drainingOf(cluster, group.spec.name),
      })),
    ),
    ranges: byName(
      groups
        .flatMap(({ group, answer }) => observedRanges(group, answer))
        // Of one that is on its way both groups have a row.
        .filter(({ name, group }) => (cluster.register.placeOf(name) ?? group) === group)
        .map((range) => ({
          ...range,
          made: cluster.register.isMade(range.name) ? true : undefined,
          move: moves.of(range.name),
        })),
    ),
    transfers: transfers.observed,
    leftOut: {
      groups: Object.keys(cluster.leftOut.groups),
      nodes: cluster.leftOut.nodes,
    },
    unsettledMoves: Object.entries(cluster.register.moves)
      .filter(([range]) => moves.of(range) === undefined)
      .map(([range, { from, to }]) => ({ range, from, to })),
  });
}

async function observeNode(cluster: Cluster, node: ClusterNode): Promise<ObservedNode> {
  const { name, group } = node.spec;
  const running = node.process !== undefined && node.process.exit === undefined;
  const marker = await readMarker(cluster.server.storage, name);
  if (marker !== undefined) checkMarker(marker, cluster.server.binaries.version);
  const base = {
    name,
    group,
    initialised: marker !== undefined,
    running,
    pid: running ? (node.process?.pid ?? null) : null,
    port: node.port,
    lagBytes: null,
    ...repairOf(cluster, node, marker !== undefined),
  };
  const silent = { streaming: false, position: null, lagMs: null };
  if (!running) return { ...base, ...silent, role: 'down' };
  try {
    return { ...base, ...(await askNode(cluster, name)) };
  } catch {
    return { ...base, ...silent, role: 'unknown' };
  }
}

/** Until its keeper begins, a copy that is lost waits for its turn. */
function repairOf(
  cluster: Cluster,
  { spec, repair }: ClusterNode,
  whole: boolean,
): Pick<ObservedNode, 'repair'> {
  if (repair !== undefined) return { repair: { ...repair } };
  const { excluded, settled } = cluster.group(spec.group);
  if (!excluded.has(spec.name) && (whole || !settled)) return {};
  return { repair: { phase: 'lost', doneBytes: 0, totalBytes: null, sinceMs: 0 } };
}

async function askNode(cluster: Cluster, name: string): Promise<NodeAnswer> {
  return cluster.looks.look(cluster.admin(name), async (client) => {
    const result = await client.query<{
      follower: boolean;
      streaming: boolean;
      log: string | null;
      beat: boolean;
    }>(`
        SELECT pg_is_in_recovery() AS follower,
          EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') AS streaming,
          to_regclass('meridian.heartbeat') IS NOT NULL AS beat,
          (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::text AS log`);
    const row = result.rows[0];
    const beat =
      row?.beat === true
        ? await client.query<{ age: number | null }>(
            `SELECT (1000 * extract(epoch FROM clock_timestamp() - at))::float8 AS age
               FROM meridian.heartbeat`,
          )
        : undefined;
    return {
      role: row?.follower === true ? 'follower' : 'leader',
      streaming: row?.streaming === true,
      position: typeof row?.log === 'string' ? BigInt(row.log) : null,
      lagMs: beat?.rows[0]?.age ?? null,
    } as const;
  });
}

async function askGroup(
  cluster: Cluster,
  group: ClusterGroup,
): Promise<{ group: ClusterGroup; answer: GroupAnswer | undefined }> {
  if (!group.open) return { group, answer: undefined };
  try {
    const answer = await cluster.looks.look(
      cluster.admin(group.leader),
      async (client): Promise<GroupAnswer> => {
        const state = await client.query<{ v: number }>(
          'SELECT schema_version AS v FROM meridian.group_state',
        );
        const migrations = await client.query<AppliedMigration & { scope: string }>(
          'SELECT scope, name, checksum FROM meridian.migration ORDER BY name',
        );
        const ranges = await client.query<{ name: string; epoch: string; state: 'open' }>(
          'SELECT name, epoch, state FROM meridian.range ORDER BY name',
        );
        const publisher = group.globals === 'publisher';
        const accounts = publisher
          ? await client.query<{ n: string }>('SELECT count(*) AS n FROM meridian.account')
          : undefined;
        const slots = await client.query<{ slot: string; lag: string | null }>(
          `SELECT regexp_replace(slot_name, '__e[0-9]+_[0-9]+$', '') AS slot,
             (pg_current_wal_lsn() - confirmed_flush_lsn)::text AS lag
           FROM pg_replication_slots WHERE slot_type = 'logical'`,
        );
        return {
          schemaVersion: state.rows[0]?.v ?? 0,
          migrations: migrations.rows,
          ranges: ranges.rows.map((range) => ({ ...range, epoch: Number(range.epoch) })),
          accounts: accounts === undefined ? null : Number(accounts.rows[0]?.n),
          globalLagBytes: Object.fromEntries(
            slots.rows.map(({ slot, lag }) => [slot, Number(lag ?? 0)]),
          ),
          inDoubt: inDoubtOf(await preparedOn(client)),
        };
      },
    );
    return { group, answer };
  } catch {
    return { group, answer: undefined };
  }
}

function observedGroup(
  group: ClusterGroup,
  seen: {
    readonly answer: GroupAnswer | undefined;
    readonly globalLag: Readonly<Record<string, number>>;
    readonly accounts: number | null;
  },
): ObservedGroup {
  return {
    name: group.spec.name,
    epoch: group.epoch,
    leader: group.open ? group.leader : null,
    open: group.open,
    settled: group.settled,
    schemaVersion: seen.answer?.schemaVersion ?? 0,
    databaseMigrations: migrationsOf(seen.answer, 'database'),
    globals: group.globals,
    globalLagBytes: seen.globalLag[subscriptionName(group.spec.name)] ?? null,
    accounts: group.globals === 'publisher' ? seen.accounts : null,
    inDoubt: seen.answer?.inDoubt ?? null,
    recoveredVoters: votesAsDeclared(group) ? undefined : [...group.voters].sort(),
  };
}

function drainingOf({ register }: Cluster, group: GroupName): ObservedGroup['draining'] {
  if (!register.draining.includes(group)) return undefined;
  return register.drained.includes(group) ? 'drained' : 'draining';
}

function leadershipOf(cluster: Cluster, group: ClusterGroup): Partial<ObservedGroup> {
  const { leadership, lease } = group;
  if (leadership === undefined) return {};
  const nowMs = cluster.services.clock.monotonicMs();
  const holds = lease.validUntilMs > nowMs;
  return {
    operation: leadership.operation,
    lease: {
      holder: lease.holder,
      tenureMs: holds ? Math.round(nowMs - lease.sinceMs) : 0,
      remainingMs: holds ? Math.round(lease.validUntilMs - nowMs) : 0,
    },
    lastChange: leadership.lastChange,
    leaderChanges: Object.fromEntries(leadership.changes),
  };
}

/** What another program prepared is not ours to count. */
function inDoubtOf(prepared: readonly PreparedTransaction[]): InDoubt {
  const ages = prepared.flatMap(({ gid, ageMs }) =>
    coordinatorOf(gid) === undefined ? [] : [ageMs],
  );
  return { count: ages.length, oldestMs: Math.round(Math.max(0, ...ages)) };
}

function observedRanges(group: ClusterGroup, answer: GroupAnswer | undefined): ObservedRange[] {
  return (answer?.ranges ?? []).map((range) => ({
    ...range,
    group: group.spec.name,
    migrations: migrationsOf(answer, range.name),
  }));
}

/** Scope is 'database' or the name of a range. */
function migrationsOf(answer: GroupAnswer | undefined, scope: string): AppliedMigration[] {
  return (answer?.migrations ?? [])
    .filter((one) => one.scope === scope)
    .map(({ name, checksum }) => ({ name, checksum }));
}

/** Of the subscription; its slot on the publisher has it too, or one that begins with it (globals-era.ts). */
export function subscriptionName(group: string): string {
  return `meridian_global_${group.replaceAll('-', '_')}`;
}

function byName<T extends { readonly name: string }>(items: readonly T[]): Record<string, T> {
  return Object.fromEntries(items.map((item) => [item.name, item]));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
