/** The client's counters as samples. Pure. */
import type { Sample } from '../control/metrics/sample.ts';
import type { ClientCounters } from './api.ts';

export function clientSamples(counters: ClientCounters): Sample[] {
  const plain: readonly Sample[] = [
    { name: 'meridian_client_transactions_total', labels: {}, value: counters.transactions },
    { name: 'meridian_client_reads_total', labels: {}, value: counters.reads },
    {
      name: 'meridian_client_reads_served_total',
      labels: { by: 'leader' },
      value: counters.readsOnLeader,
    },
    {
      name: 'meridian_client_reads_served_total',
      labels: { by: 'replica' },
      value: counters.readsOnReplica,
    },
    {
      name: 'meridian_client_reads_redirected_total',
      labels: {},
      value: counters.readsRedirected,
    },
    { name: 'meridian_client_commits_unknown_total', labels: {}, value: counters.commitsUnknown },
    { name: 'meridian_client_replays_total', labels: {}, value: counters.replays },
  ];
  const retries = Object.entries(counters.retries).map(([code, value]): Sample => ({
    name: 'meridian_client_retries_total',
    labels: { code },
    value,
  }));
  const outcomes = {
    committed: counters.crossGroupCommitted,
    aborted: counters.crossGroupAborted,
    unknown: counters.crossGroupUnknown,
    recovered: counters.crossGroupRecovered,
  };
  const crossGroup = Object.entries(outcomes).map(([outcome, value]): Sample => ({
    name: 'meridian_client_cross_group_total',
    labels: { outcome },
    value,
  }));
  return [...plain, ...retries, ...crossGroup];
}
