/**
 * Waits until a node has replayed a position, so that the snapshot taken next includes it.
 *
 * The answer is remembered per connection: a server's replay never goes back while the connection
 * lives, so a later token that is no newer costs no round trip.
 */
import type pg from 'pg';
import type { Clock } from '../../kernel/clock.ts';
import { present } from '../../kernel/assert.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { reaches, type Position } from '../../topology/position.ts';
import { fromDriver } from './sqlstate.ts';

const POLL_FIRST_MS = 2;
const POLL_MAX_MS = 25;

type Reached = Omit<Position, 'group'>;

const known = new WeakMap<pg.PoolClient, Reached>();

export const REACHED_SQL =
  "SELECT epoch::text AS epoch, (log - '0/0'::pg_lsn)::text AS log FROM meridian.reached()";

export interface ReachedRow {
  readonly epoch: string;
  readonly log: string | null;
}

export function parseReached(row: ReachedRow | undefined): Reached {
  const { epoch, log } = present(row, "a node's position");
  return { epoch: Number(present(epoch, 'an epoch')), log: BigInt(log ?? '0') };
}

export async function awaitPosition(
  client: pg.PoolClient,
  clock: Clock,
  options: { readonly wanted: Position; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const before = known.get(client);
  if (before !== undefined && reaches(before, options.wanted)) return;
  const deadline = clock.monotonicMs() + options.waitMs;
  for (let pauseMs = POLL_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, POLL_MAX_MS)) {
    const reached = await ask(client);
    known.set(client, reached);
    if (reaches(reached, options.wanted)) return;
    if (clock.monotonicMs() + pauseMs > deadline) {
      throw new MeridianError(
        'ERR_ENGINE_TOO_STALE',
        `the replica did not reach the token's position within ${String(options.waitMs)} ms`,
      );
    }
    await clock.sleep(pauseMs, options.signal);
  }
}

async function ask(client: pg.PoolClient): Promise<Reached> {
  try {
    const result = await client.query<ReachedRow>({
      name: 'meridian_reached',
      text: REACHED_SQL,
    });
    return parseReached(result.rows[0]);
  } catch (error) {
    throw fromDriver(error, 'asking a replica for its position');
  }
}
