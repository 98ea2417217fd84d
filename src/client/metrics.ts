/** The client's counters as samples: every one of them, or this does not compile. Pure. */
import type { Sample } from '../control/metrics/sample.ts';
import type { ClientCounters } from './api.ts';

type Series = Omit<Sample, 'value'>;

const plain = (name: Series['name']): Series => ({ name, labels: {} });
const served = (by: string): Series => ({
  name: 'meridian_client_reads_served_total',
  labels: { by },
});
const crossGroup = (outcome: string): Series => ({
  name: 'meridian_client_cross_group_total',
  labels: { outcome },
});

const SERIES: Readonly<Record<Exclude<keyof ClientCounters, 'retries'>, Series>> = {
  transactions: plain('meridian_client_transactions_total'),
  reads: plain('meridian_client_reads_total'),
  readsOnLeader: served('leader'),
  readsOnReplica: served('replica'),
  readsRedirected: plain('meridian_client_reads_redirected_total'),
  replicasSilent: plain('meridian_client_replicas_silent_total'),
  commitsUnknown: plain('meridian_client_commits_unknown_total'),
  crossGroupCommitted: crossGroup('committed'),
  crossGroupAborted: crossGroup('aborted'),
  crossGroupUnknown: crossGroup('unknown'),
  crossGroupRecovered: crossGroup('recovered'),
  replays: plain('meridian_client_replays_total'),
};

export function clientSamples(counters: ClientCounters): Sample[] {
  const counted = Object.entries(SERIES) as [keyof typeof SERIES, Series][];
  return [
    ...counted.map(([key, series]): Sample => ({ ...series, value: counters[key] })),
    ...Object.entries(counters.retries).map(([code, value]): Sample => ({
      name: 'meridian_client_retries_total',
      labels: { code },
      value,
    })),
  ];
}
