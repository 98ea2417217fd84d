/** What the supervisor itself knows, as samples. Pure: from one status report. */
import type { StatusReport } from '../status.ts';
import type { Sample } from './sample.ts';
import type { MetricName } from './table.ts';

export function statusSamples(report: StatusReport): Sample[] {
  const samples: Sample[] = [];
  /** A value that is not known has no sample: 0 would be a claim. */
  const add = (
    name: MetricName,
    labels: Readonly<Record<string, string>>,
    value: number | boolean | null,
  ): void => {
    if (value !== null) samples.push({ name, labels, value: Number(value) });
  };
  add('meridian_start_time_seconds', {}, Date.parse(report.startedAt) / 1_000);
  for (const { name, group, region, zone, state, lagBytes, lagMs } of report.nodes) {
    const labels = { node: name, group, region, zone };
    add('meridian_node_up', labels, state !== 'down' && state !== 'unknown');
    add('meridian_node_leads', labels, state === 'leader');
    add('meridian_node_lag_bytes', labels, lagBytes);
    add('meridian_node_lag_seconds', labels, lagMs === null ? null : lagMs / 1_000);
  }
  for (const { name, epoch, leader, accounts, globalLagBytes, inDoubt } of report.groups) {
    add('meridian_group_epoch', { group: name }, epoch);
    add('meridian_group_led', { group: name }, leader !== null);
    add('meridian_group_accounts', { group: name }, accounts);
    add('meridian_group_globals_lag_bytes', { group: name }, globalLagBytes);
    if (inDoubt === null) continue;
    add('meridian_group_in_doubt_transactions', { group: name }, inDoubt.count);
    add('meridian_group_in_doubt_oldest_seconds', { group: name }, inDoubt.oldestMs / 1_000);
  }
  for (const [kind, processes] of [
    ['gateway', report.gateways],
    ['app', report.appServers],
  ] as const) {
    for (const { name, region, state, restarts } of processes) {
      const labels = { process: processLabel(kind, name), region };
      add('meridian_process_ready', labels, state === 'ready');
      add('meridian_process_restarts_total', labels, restarts);
    }
  }
  return samples;
}

/** The name by which the process knows itself (MERIDIAN_PROCESS). */
export function processLabel(kind: 'gateway' | 'app', name: string): string {
  return name.startsWith(`${kind}.`) ? name : `${kind}.${name}`;
}
