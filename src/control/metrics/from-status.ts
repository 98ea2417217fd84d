/** What the supervisor itself knows, as samples. Pure. */
import type { GroupStatus, NodeStatus, ProcessStatus, StatusReport } from '../status.ts';
import type { Sample } from './sample.ts';
import { CHANGE_CAUSES, type MetricName } from './table.ts';

export type ProcessKind = 'gateway' | 'app';

/** A value that is not known has no sample: 0 would be a claim. */
function known(
  name: MetricName,
  labels: Readonly<Record<string, string>>,
  value: number | boolean | null,
): Sample[] {
  return value === null ? [] : [{ name, labels, value: Number(value) }];
}

export function databaseSamples(report: Pick<StatusReport, 'nodes' | 'groups'>): Sample[] {
  // The primary region's group alone keeps the directory that counts them.
  const accounts = report.groups.map((group) => group.accounts).find((count) => count !== null);
  return [
    ...known('meridian_accounts', {}, accounts ?? null),
    ...report.nodes.flatMap(nodeSamples),
    ...report.groups.flatMap(groupSamples),
  ];
}

const UP: readonly NodeStatus['state'][] = ['leader', 'streaming', 'catching-up'];

function nodeSamples(node: NodeStatus): Sample[] {
  const { name, group, region, zone, state, lagBytes, lagMs, repair } = node;
  const labels = { node: name, group, region, zone };
  const rebuilding = state === 'rebuilding' ? repair : null;
  return [
    ...known('meridian_node_up', labels, UP.includes(state)),
    ...known('meridian_node_leads', labels, state === 'leader'),
    ...known('meridian_node_lag_bytes', labels, lagBytes),
    ...known('meridian_node_lag_seconds', labels, seconds(lagMs)),
    ...known('meridian_node_lost', labels, state === 'lost'),
    ...known('meridian_node_rebuild_done_bytes', labels, rebuilding?.doneBytes ?? null),
    ...known('meridian_node_rebuild_size_bytes', labels, rebuilding?.totalBytes ?? null),
  ];
}

function groupSamples(group: GroupStatus): Sample[] {
  const { operation, lease, lastChange, inDoubt } = group;
  const labels = { group: group.name };
  return [
    ...known('meridian_group_epoch', labels, group.epoch),
    ...known('meridian_group_open', labels, group.leader !== null),
    ...(operation === null
      ? []
      : known(
          'meridian_group_operation',
          { ...labels, kind: operation.kind, phase: firstWord(operation.phase) },
          1,
        )),
    ...known('meridian_group_lease_tenure_seconds', labels, seconds(lease?.tenureMs ?? null)),
    ...known('meridian_group_lease_remaining_seconds', labels, seconds(lease?.remainingMs ?? null)),
    ...changeSamples(group),
    ...known('meridian_group_leader_change_seconds', labels, seconds(lastChange?.tookMs ?? null)),
    ...known('meridian_group_globals_lag_bytes', labels, group.globalLagBytes),
    ...known('meridian_group_in_doubt_transactions', labels, inDoubt?.count ?? null),
    ...known('meridian_group_in_doubt_oldest_seconds', labels, seconds(inDoubt?.oldestMs ?? null)),
  ];
}

/** From 0 on for each cause, so that the first of its kind shows as a rise. */
function changeSamples({ name, leaderChanges }: GroupStatus): Sample[] {
  const causes: readonly string[] = CHANGE_CAUSES;
  const counts = new Map(causes.map((cause) => [cause, 0]));
  for (const [cause, count] of Object.entries(leaderChanges)) {
    const known = causes.includes(cause) ? cause : 'other';
    counts.set(known, (counts.get(known) ?? 0) + count);
  }
  return [...counts].flatMap(([cause, count]) =>
    known('meridian_group_leader_changes_total', { group: name, cause }, count),
  );
}

/** The machine's word alone: the names behind it would make a series each. */
function firstWord(phase: string): string {
  return phase.split(' ', 1)[0] ?? '';
}

/** While one process hands over to another of its name, the name is ready when either of them is. */
export function processSamples(
  kind: ProcessKind,
  statuses: readonly Pick<ProcessStatus, 'name' | 'region' | 'state' | 'restarts'>[],
): Sample[] {
  return [...new Set(statuses.map(({ name }) => name))].flatMap((name) => {
    const named = statuses.filter((one) => one.name === name);
    const labels = { process: processLabel(kind, name), kind, region: named[0]?.region ?? '' };
    const ready = named.some(({ state }) => state === 'ready');
    const restarts = Math.max(...named.map((one) => one.restarts));
    return [
      ...known('meridian_process_ready', labels, ready),
      ...known('meridian_process_restarts_total', labels, restarts),
    ];
  });
}

/** The name by which the process knows itself (MERIDIAN_PROCESS). */
export function processLabel(kind: ProcessKind, name: string): string {
  return name.startsWith(`${kind}.`) ? name : `${kind}.${name}`;
}

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1_000);
