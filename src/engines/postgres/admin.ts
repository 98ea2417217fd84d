/** Short-lived superuser connections of the supervisor, straight to a node's own port. */
import pg from 'pg';
import type { Clock } from '../../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../../kernel/errors.ts';
import { fromDriver } from './sqlstate.ts';
import { DATABASE, ROLE } from './roles.ts';

export interface AdminTarget {
  readonly node: string;
  readonly port: number;
  readonly password: string;
  /** False: an emulated partition lies between the arbiter and the node. */
  readonly reachable?: () => boolean;
}

export interface AdminOptions {
  readonly statementTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** Several may use it at a time. */
  readonly pipeline?: boolean;
  /** Another role than the administrator, to see what it would see. */
  readonly user?: string;
}

const CONNECT_TIMEOUT_MS = 2_000;
const POLL_MS = 20;

export async function connectAdmin(
  target: AdminTarget,
  options: AdminOptions = {},
): Promise<pg.Client> {
  if (target.reachable?.() === false) throw unreachableNode(target.node);
  const client = new pg.Client({
    host: '127.0.0.1',
    port: target.port,
    user: options.user ?? ROLE.administrator,
    password: target.password,
    database: DATABASE,
    application_name: 'meridian-supervisor',
    pipeline: options.pipeline ?? false,
    connectionTimeoutMillis: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    ...(options.statementTimeoutMs === undefined
      ? {}
      : {
          statement_timeout: options.statementTimeoutMs,
          query_timeout: options.statementTimeoutMs,
        }),
  });
  // An idle connection that dies reports here; the next query fails with the reason.
  client.on('error', () => {});
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw fromDriver(error, `connecting to ${target.node}`);
  }
}

export function unreachableNode(node: string): MeridianError {
  return new MeridianError('ERR_ENGINE_UNAVAILABLE', `${node} cannot be reached`);
}

/** Connects, runs, disconnects; database errors become ours. */
export async function withAdmin<T>(
  target: AdminTarget,
  run: (client: pg.Client) => Promise<T>,
  options: AdminOptions = {},
): Promise<T> {
  const client = await connectAdmin(target, options);
  try {
    return await run(client);
  } catch (error) {
    throw isMeridianError(error) ? error : fromDriver(error, `on ${target.node}`);
  } finally {
    // A stuck server must not keep us here; the socket's end is enough for it.
    void client.end().catch(() => {});
  }
}

/** Waits until the server accepts connections, its process ends, or time is up. */
export async function waitForServer(
  target: AdminTarget,
  options: {
    readonly clock: Clock;
    readonly timeoutMs: number;
    /** Without asking the server itself: is it worth a connection? */
    readonly saysReady: () => Promise<boolean>;
    /** Gives the failure once the process has ended. */
    readonly ended: () => Promise<MeridianError> | undefined;
  },
): Promise<void> {
  const deadline = options.clock.monotonicMs() + options.timeoutMs;
  for (;;) {
    const ended = options.ended();
    if (ended !== undefined) throw await ended;
    const late = options.clock.monotonicMs() >= deadline;
    if (late || (await options.saysReady())) {
      try {
        await withAdmin(target, (client) => client.query('SELECT 1'));
        return;
      } catch (error) {
        if (late) throw error;
      }
    }
    await options.clock.sleep(POLL_MS);
  }
}
