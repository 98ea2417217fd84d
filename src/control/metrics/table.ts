/**
 * Every metric of the platform: one table, against which docs/reference/metrics.md is compared in both
 * directions. Names follow Prometheus: base units, `_total` for what only rises. Labels are bounded:
 * they name what is declared (regions, groups, nodes, processes) or stand in a table (codes, reasons).
 *
 * `from` says who knows the value: 'status' the supervisor, the others a process, which reports it.
 */
export interface MetricEntry {
  readonly type: 'counter' | 'gauge';
  readonly from: 'status' | 'gateway' | 'client';
  readonly labels: readonly string[];
  /** Shown beside the values; a sentence. */
  readonly help: string;
}

const status = (labels: readonly string[], help: string): MetricEntry => ({
  ...{ type: 'gauge', from: 'status' },
  labels,
  help,
});
const gateway = (labels: readonly string[], help: string): MetricEntry => ({
  ...{ type: 'counter', from: 'gateway' },
  labels: ['process', ...labels],
  help,
});
const client = (labels: readonly string[], help: string): MetricEntry => ({
  ...{ type: 'counter', from: 'client' },
  labels: ['process', ...labels],
  help,
});

const NODE = ['node', 'group', 'region', 'zone'];
const PROCESS = ['process', 'region'];

export const METRICS = {
  meridian_start_time_seconds: status([], 'When the supervisor started, in seconds since 1970.'),
  meridian_node_up: status(NODE, '1 while the database server answers, else 0.'),
  meridian_node_leads: status(NODE, '1 on the server that leads its group, else 0.'),
  meridian_node_lag_bytes: status(NODE, "Log that the server has not replayed of its leader's."),
  meridian_node_lag_seconds: status(NODE, 'Age of the newest heartbeat that the server shows.'),
  meridian_group_epoch: status(['group'], "The group's epoch; rises whenever a leader opens."),
  meridian_group_led: status(['group'], '1 while the group has a leader, else 0.'),
  meridian_group_accounts: status(['group'], 'Accounts of the group, as last counted.'),
  meridian_group_globals_lag_bytes: status(
    ['group'],
    "Log of the primary region's group that this group's copy of the global tables has not confirmed.",
  ),
  meridian_group_in_doubt_transactions: status(
    ['group'],
    'Transactions over several groups that are prepared here and not finished.',
  ),
  meridian_group_in_doubt_oldest_seconds: status(
    ['group'],
    'Age of the oldest of those; 0 when there are none.',
  ),
  meridian_process_ready: status(PROCESS, '1 while the gateway or app server is ready, else 0.'),
  meridian_process_restarts_total: {
    ...status(PROCESS, 'Times that the supervisor has restarted the process.'),
    type: 'counter',
  },
  meridian_gateway_requests_total: gateway([], 'Requests received.'),
  meridian_gateway_requests_in_flight: {
    ...gateway([], 'Requests received and not yet answered.'),
    type: 'gauge',
  },
  meridian_gateway_forwarded_total: gateway(
    ['reason'],
    'Requests sent to an app server, attempts included, by why it was chosen.',
  ),
  meridian_gateway_retries_total: gateway([], 'Requests sent again after an app server failed.'),
  meridian_gateway_reroutes_total: gateway([], 'Requests routed anew after a stale route.'),
  meridian_gateway_refused_total: gateway(['code'], 'Requests refused, by error code.'),
  meridian_gateway_truncated_total: gateway([], 'Answers that an app server did not finish.'),
  meridian_gateway_client_aborts_total: gateway([], 'Clients that left before their answer.'),
  meridian_gateway_websockets_total: gateway([], 'Handshakes that led to a WebSocket.'),
  meridian_gateway_websockets_open: { ...gateway([], 'WebSockets that are open.'), type: 'gauge' },
  meridian_client_transactions_total: client([], 'Transactions asked for.'),
  meridian_client_reads_total: client([], 'Reads asked for.'),
  meridian_client_reads_served_total: client(
    ['by'],
    'Attempts at reads sent to the leader or to a replica.',
  ),
  meridian_client_reads_redirected_total: client(
    [],
    'Reads that a replica could not serve and the leader did.',
  ),
  meridian_client_retries_total: client(['code'], 'Attempts that were repeated, by error code.'),
  meridian_client_commits_unknown_total: client([], 'Commits whose answer was lost.'),
  meridian_client_cross_group_total: client(
    ['outcome'],
    'Commits over several groups: committed, aborted, unknown; recovered counts halves finished later.',
  ),
  meridian_client_replays_total: client(
    [],
    'Transactions answered from their idempotency key, because they had been committed before.',
  ),
} as const satisfies Record<string, MetricEntry>;

export type MetricName = keyof typeof METRICS;

export function metricNames(): MetricName[] {
  return Object.keys(METRICS) as MetricName[];
}
