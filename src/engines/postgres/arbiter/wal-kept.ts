/**
 * Whether what a follower needs next is still kept where it streams from. A server that was cloned has
 * no log from before its clone, so a non-voter that stood behind at that moment can never follow it: it
 * is refused again and again ("requested WAL segment … has already been removed"), and would look like
 * one that is merely late.
 */
import type { NodeName } from '../../../topology/node.ts';
import type { Cluster } from '../cluster.ts';

/** False also when one of them does not answer. */
export async function isOutrun(
  cluster: Cluster,
  follower: NodeName,
  upstream: NodeName,
): Promise<boolean> {
  const ask = async <T extends Record<string, unknown>>(node: NodeName, text: string) => {
    const { rows } = await cluster.looks.look(cluster.admin(node), (one) => one.query<T>(text));
    return rows[0];
  };
  try {
    const [reached, kept] = await Promise.all([
      ask<{ at: string | null }>(follower, REACHED),
      ask<{ oldest: string | null; segment_bytes: string }>(upstream, KEPT),
    ]);
    if (typeof reached?.at !== 'string' || typeof kept?.oldest !== 'string') return false;
    return needsOlder(BigInt(reached.at), kept.oldest, BigInt(kept.segment_bytes));
  } catch {
    return false;
  }
}

/** Without a receiver everything that it has is replayed, so this is where it will ask to go on. */
const REACHED = `SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::text AS at`;

/** Of the file names the timeline is left away: a position is in one segment, whatever its timeline. */
const KEPT = `
  SELECT min(substr(name, 9)) AS oldest, pg_size_bytes(current_setting('wal_segment_size'))::text AS segment_bytes
  FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'`;

/**
 * A receiver asks for whole segments, from the beginning of the one that it stands in. Pure.
 * `oldest`: the last 16 digits of a segment's file name.
 */
export function needsOlder(at: bigint, oldest: string, segmentBytes: bigint): boolean {
  const high = BigInt(`0x${oldest.slice(0, 8)}`);
  const low = BigInt(`0x${oldest.slice(8)}`);
  return (at / segmentBytes) * segmentBytes < (high << 32n) + low * segmentBytes;
}
