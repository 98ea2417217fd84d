/**
 * The configuration files of one server, as pure functions of what it is; the sizes and intervals are
 * those of docs/decisions/0003, for fifteen servers on one machine. They are written whole at
 * each start, so that nothing in a data directory is a setting's only home.
 *
 * - `synchronous_standby_names` names the two other voters on every voter, always: it is ignored on a
 *   standby and in force from the first instant of a leader, so there is no moment without a quorum.
 * - `restart_after_crash` is off: after a crash the supervisor must raise the epoch before anybody is
 *   let in again, so the server may not come back by itself.
 * - `synchronous_commit` may be lowered by any session (it is a user setting); the client library's
 *   closing batch sets it back to `on` in the same message as COMMIT.
 */
import type { Address } from '../../topology/routing.ts';
import type { NodeSpec } from '../../topology/node.ts';
import type { PostgresOptions } from './options.ts';
import { ROLE } from './roles.ts';

/** Replication timeouts: a stalled link is noticed within this. */
const REPLICATION_TIMEOUT_MS = 5_000;

/** Must be equal on all servers of a group, and passed at initdb: standbys refuse smaller values. */
export function sizeSettings(options: PostgresOptions): Record<string, string> {
  return {
    max_connections: String(options.connectionsMax),
    max_wal_senders: '12',
    max_replication_slots: '12',
    max_prepared_transactions: '32',
    max_worker_processes: '8',
    max_locks_per_transaction: '64',
    wal_level: 'logical',
  };
}

export function mainSettings(node: NodeSpec, port: number, options: PostgresOptions): string {
  const settings = render({
    ...sizeSettings(options),
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    cluster_name: node.name,
    shared_buffers: `${String(options.sharedBuffersMb)}MB`,
    password_encryption: 'scram-sha-256',
    fsync: options.fsync ? 'on' : 'off',
    // Also without fsync: a standby can be copied only where its log has whole pages.
    full_page_writes: 'on',
    // A range that comes from far away spends most of each table's copy on round trips.
    max_logical_replication_workers: '7',
    max_sync_workers_per_subscription: '4',
    hot_standby: 'on',
    // Feedback would hold back vacuum on the leader for as long as its interval: updated rows then find no
    // room on their page, need new index entries, and serializable transactions conflict over those.
    // Reads on replicas are short; one that stands in the way of replay for longer is cancelled, and
    // the client library asks the leader.
    hot_standby_feedback: 'off',
    max_standby_streaming_delay: '5s',
    wal_sender_timeout: `${String(REPLICATION_TIMEOUT_MS)}ms`,
    wal_receiver_timeout: `${String(REPLICATION_TIMEOUT_MS)}ms`,
    wal_receiver_status_interval: '10s',
    wal_retrieve_retry_interval: '1s',
    wal_keep_size: '32MB',
    max_slot_wal_keep_size: '512MB',
    min_wal_size: '32MB',
    max_wal_size: '256MB',
    checkpoint_timeout: '15min',
    // After a crash each server would flush every file one by one; one call does for all (Linux alone).
    ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
    restart_after_crash: 'off',
    // A client that gave up destroys its connection; its statement ends soon after.
    client_connection_check_interval: '1s',
    io_method: 'sync',
    jit: 'off',
    huge_pages: 'off',
    autovacuum_worker_slots: '3',
    autovacuum_max_workers: '1',
    autovacuum_naptime: '1min',
    bgwriter_delay: '1s',
    wal_writer_delay: '200ms',
    // Serializable transactions lock what they scan (docs, 13.2.3). A sequential scan, which the planner
    // likes for small tables, locks the whole table, and then everybody conflicts with everybody; these
    // costs make it take the index. Row locks are kept apart for longer before they become page locks.
    random_page_cost: '1.0',
    cpu_tuple_cost: '0.05',
    max_pred_locks_per_page: '16',
    max_pred_locks_per_transaction: '64',
    // Passwords are 192 random bits: stretching them costs each connection milliseconds for nothing.
    scram_iterations: '1',
    // Read by the functions of schema-lease.ts.
    'meridian.clock_offset_max_ms': String(options.clockOffsetMaxMs),
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Statements and their parameters may hold secrets and row values: errors are logged without them.
    log_min_error_statement: 'panic',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_checkpoints: 'off',
    log_line_prefix: '%m [%p] ',
  });
  const included = [ROLE_FILE, ADMITTED_FILE].map((file) => `include_if_exists '${file}'\n`);
  return [settings, ...included].join('');
}

const ROLE_FILE = 'role.conf';

export const ADMITTED_FILE = 'admitted.conf';
/** The epoch in which the application was let in last. */
export const ADMITTED_SETTING = 'meridian.admitted_epoch';

export function admittedSettings(epoch: number): string {
  return render({ [ADMITTED_SETTING]: String(epoch) });
}

export interface RoleSettings {
  /** The other voters: quorum is any one of them. Empty on a non-voter. */
  readonly otherVoters: readonly string[];
  /** Where a follower streams from; undefined on a leader, and on a follower that is fenced. */
  readonly upstream: Address | undefined;
  /** It follows, or will when its fence is lifted. */
  readonly follows: boolean;
  readonly passfile: string;
  /** Of fault injection: how far its clock is moved. */
  readonly clockOffsetMs: number;
}

export function roleSettings(node: NodeSpec, role: RoleSettings): string {
  return render({
    synchronous_standby_names: synchronousNames(role.otherVoters),
    'meridian.clock_offset_ms': String(role.clockOffsetMs),
    ...(role.upstream === undefined
      ? // What it has received is replayed at once, whoever reads: its position decides an election.
        { max_standby_streaming_delay: '0' }
      : {
          primary_conninfo: connectionInfo(role.upstream, {
            user: ROLE.replication,
            passfile: role.passfile,
            application_name: node.name,
            dbname: 'postgres',
          }),
          primary_slot_name: slotName(node.name),
        }),
  });
}

/** Of `synchronous_standby_names`: a commit waits for any one of these. */
export function synchronousNames(otherVoters: readonly string[]): string {
  const names = otherVoters.map((name) => `"${name}"`).join(', ');
  return names === '' ? '' : `ANY 1 (${names})`;
}

/** A libpq connection string; the password stays in the passfile. */
export function connectionInfo(
  address: Address,
  parameters: Readonly<Record<string, string>>,
): string {
  return Object.entries({
    host: address.host,
    port: String(address.port),
    connect_timeout: '3',
    keepalives: '1',
    tcp_user_timeout: '5000',
    sslmode: 'disable',
    ...parameters,
  })
    .map(([key, value]) => `${key}='${value.replaceAll(/['\\]/g, '\\$&')}'`)
    .join(' ');
}

/** Slot names allow a-z, 0-9 and _ alone. Node names allow no _, so this cannot collide. */
export function slotName(node: string): string {
  return node.replaceAll('.', '__').replaceAll('-', '_');
}

/** Who may connect: our own accounts over loopback, by password. */
export function hostAccess(admitted: { readonly application: boolean }): string {
  return [
    '# Written by Meridian at each start.',
    `host all ${ROLE.administrator} 127.0.0.1/32 scram-sha-256`,
    ...(admitted.application ? [`host all ${ROLE.application} 127.0.0.1/32 scram-sha-256`] : []),
    `host all ${ROLE.replication} 127.0.0.1/32 scram-sha-256`,
    `host replication ${ROLE.replication} 127.0.0.1/32 scram-sha-256`,
    '',
  ].join('\n');
}

/** Configuration files know backslash escapes and doubled quotes (PostgreSQL docs, 19.1.2). */
function quoteSetting(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function render(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${quoteSetting(value)}`);
  return ['# Written by Meridian at each start; changes are lost.', ...lines, ''].join('\n');
}
