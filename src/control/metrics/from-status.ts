/** What the supervisor itself knows, as samples. Pure. */
import type { ProcessStatus, StatusReport } from '../status.ts';
import type { Sample } from './sample.ts';
import type { MetricName } from './table.ts';

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
    ...report.nodes.flatMap(({ name, group, region, zone, state, lagBytes, lagMs }) => {
      const labels = { node: name, group, region, zone };
      return [
        ...known('meridian_node_up', labels, state !== 'down' && state !== 'unknown'),
        ...known('meridian_node_leads', labels, state === 'leader'),
        ...known('meridian_node_lag_bytes', labels, lagBytes),
        ...known('meridian_node_lag_seconds', labels, seconds(lagMs)),
      ];
    }),
    ...report.groups.flatMap(({ name, epoch, leader, globalLagBytes, inDoubt }) => {
      const labels = { group: name };
      return [
        ...known('meridian_group_epoch', labels, epoch),
        ...known('meridian_group_open', labels, leader !== null),
        ...known('meridian_group_globals_lag_bytes', labels, globalLagBytes),
        ...known('meridian_group_in_doubt_transactions', labels, inDoubt?.count ?? null),
        ...known(
          'meridian_group_in_doubt_oldest_seconds',
          labels,
          seconds(inDoubt?.oldestMs ?? null),
        ),
      ];
    }),
  ];
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
