/**
 * Every metric of the platform: one table, against which docs/reference/metrics.md is compared in both
 * directions. Names follow Prometheus: base units, `_total` for what only rises. Labels are bounded:
 * they name what is declared (regions, groups, nodes, processes) or stand in a table (codes, reasons).
 *
 * `from` says who knows the value. The supervisor asks each of its own sources for itself, so that one
 * that fails takes no other along; gateways and clients report.
 */
import { ERROR_CODES } from '../../kernel/error-codes.ts';

export interface MetricEntry {
  readonly type: 'counter' | 'gauge';
  readonly from: 'supervisor' | 'databases' | 'processes' | 'gateway' | 'client';
  readonly labels: readonly string[];
  /** Shown beside the values; a sentence. */
  readonly help: string;
}

type Build = (labels: readonly string[], help: string) => MetricEntry;

/** The supervisor adds these to what a process reports. */
export const PROCESS_LABELS = ['process', 'kind', 'region'] as const;
const NODE = ['node', 'group', 'region', 'zone'];

const supervisor: Build = (labels, help) => ({ type: 'gauge', from: 'supervisor', labels, help });
const databases: Build = (labels, help) => ({ type: 'gauge', from: 'databases', labels, help });
const processes: Build = (labels, help) => ({
  ...{ type: 'gauge', from: 'processes' },
  labels: [...PROCESS_LABELS, ...labels],
  help,
});
const gateway: Build = (labels, help) => ({
  ...{ type: 'counter', from: 'gateway' },
  labels: [...PROCESS_LABELS, ...labels],
  help,
});
const client: Build = (labels, help) => ({
  ...{ type: 'counter', from: 'client' },
  labels: [...PROCESS_LABELS, ...labels],
  help,
});

/** What a label of a report may say. */
export const LABEL_VALUES = {
  code: Object.keys(ERROR_CODES),
  reason: ['local-read', 'failover-read', 'local-write', 'home-write', 'failover-write'],
  by: ['leader', 'replica'],
  outcome: ['committed', 'aborted', 'unknown', 'recovered'],
} as const satisfies Record<string, readonly string[]>;

/** Why a leader changed; another word than these counts as `other`. */
export const CHANGE_CAUSES = [
  'started',
  'died',
  'silent',
  'isolated',
  'switchover',
  'recovery',
  'other',
] as const;

export const METRICS = {
  meridian_platform_info: supervisor(
    ['version', 'engine', 'survive'],
    'Always 1; its labels say what runs.',
  ),
  meridian_start_time_seconds: supervisor(
    [],
    'When the supervisor started, in seconds since 1970.',
  ),
  meridian_scrape_errors_total: {
    ...supervisor(['source'], 'Scrapes that had to do without a source: databases or processes.'),
    type: 'counter',
  },
  meridian_chaos_faults: supervisor([], 'Faults on purpose that are in force.'),
  meridian_accounts: databases([], 'Accounts of the platform, as its directory counts them.'),
  meridian_node_up: databases(
    NODE,
    '1 while the database server answers and is not under repair, else 0.',
  ),
  meridian_node_leads: databases(NODE, '1 on the server that leads its group, else 0.'),
  meridian_node_lag_bytes: databases(NODE, "Log that the server has not replayed of its leader's."),
  meridian_node_lag_seconds: databases(NODE, 'Age of the newest heartbeat that the server shows.'),
  meridian_node_lost: databases(
    NODE,
    '1 while the data of the server may not be used and nothing replaces it yet, else 0.',
  ),
  meridian_node_rebuild_done_bytes: databases(
    NODE,
    'Copied so far of a server that is being rebuilt.',
  ),
  meridian_node_rebuild_size_bytes: databases(
    NODE,
    'What there is to copy for a server that is being rebuilt.',
  ),
  meridian_group_epoch: databases(['group'], "The group's epoch; rises whenever a leader opens."),
  meridian_group_open: databases(
    ['group'],
    '1 while the group has a leader that lets clients in, else 0.',
  ),
  meridian_group_operation: databases(
    ['group', 'kind', 'phase'],
    '1 for what is being done to the group or what it waits for; without a sample it is at rest.',
  ),
  meridian_group_lease_tenure_seconds: databases(
    ['group'],
    'How long the holder of the lease has had it without a break.',
  ),
  meridian_group_lease_remaining_seconds: databases(
    ['group'],
    'How long the lease still holds unless it is renewed; 0 when it has run out.',
  ),
  meridian_group_leader_changes_total: {
    ...databases(['group', 'cause'], 'Leader changes and restarts of it, by cause.'),
    type: 'counter',
  },
  meridian_group_leader_change_seconds: databases(
    ['group'],
    'How long the last of those took, from its detection until the group was open again.',
  ),
  meridian_group_globals_lag_bytes: databases(
    ['group'],
    "Log of the primary region's group that this group's copy of the global tables has not confirmed.",
  ),
  meridian_group_in_doubt_transactions: databases(
    ['group'],
    'Transactions over several groups that are prepared here and not finished.',
  ),
  meridian_group_in_doubt_oldest_seconds: databases(
    ['group'],
    'Age of the oldest of those; 0 when there are none.',
  ),
  meridian_process_ready: processes([], '1 while the gateway or app server is ready, else 0.'),
  meridian_process_restarts_total: {
    ...processes([], 'Times that the supervisor has restarted the process.'),
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
  meridian_gateway_connections: {
    ...gateway([], 'Connections of clients that are open.'),
    type: 'gauge',
  },
  meridian_gateway_connections_refused_total: gateway(
    [],
    'Connections turned away because there were too many.',
  ),
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
  meridian_client_replicas_silent_total: client(
    [],
    'Reads that a replica left without any answer, and that went elsewhere.',
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
