/**
 * Positions in a replication group's history, and the tokens that carry them to clients.
 *
 * A position is (group epoch, LSN). LSNs alone must never be compared across a change of leader or an
 * in-place restart: an old leader's unacknowledged tail uses numbers that its successor uses again.
 * Each such change raises the group's epoch, and its first commit (the barrier) comes after everything
 * that was ever acknowledged before; so a later epoch includes every position of an earlier one.
 *
 * A token is one position per group, so that a client that wrote in two groups reads both. It travels
 * as base64url JSON; it is not a secret and grants nothing: a forged one can only make its bearer wait.
 */
import { MeridianError } from '../kernel/errors.ts';

export type GroupName = string;
/** An engine's own log sequence number, in a form that compares as a bigint. */
export type LogPosition = bigint;

export interface Position {
  readonly group: GroupName;
  readonly epoch: number;
  readonly log: LogPosition;
}

/** Is everything up to `wanted` included at (epoch, log)? Both of one group. */
export function reaches(at: Omit<Position, 'group'>, wanted: Omit<Position, 'group'>): boolean {
  return at.epoch > wanted.epoch || (at.epoch === wanted.epoch && at.log >= wanted.log);
}

/** Opaque to applications; see parseToken for its form. */
export type Token = string;

/** Bound on what a client may send us: about 40 groups. */
export const TOKEN_LENGTH_MAX = 2048;
const GROUPS_MAX = 64;
const LOG_MAX = 2n ** 64n - 1n;

export function formatToken(positions: readonly Position[]): Token {
  const body = positions
    .toSorted((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : 0))
    .map((p) => [p.group, p.epoch, p.log.toString(36)]);
  return Buffer.from(JSON.stringify(body)).toString('base64url');
}

/** Throws ERR_TOKEN_INVALID for anything formatToken could not have made. */
export function parseToken(token: Token): Position[] {
  const invalid = (cause?: unknown): MeridianError =>
    new MeridianError('ERR_TOKEN_INVALID', 'the consistency token is not one of ours', { cause });
  if (token.length > TOKEN_LENGTH_MAX || !/^[A-Za-z0-9_-]*$/.test(token)) throw invalid();
  if (token === '') return [];
  let body: unknown;
  try {
    body = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch (cause) {
    throw invalid(cause);
  }
  if (!Array.isArray(body) || body.length > GROUPS_MAX) throw invalid();
  const seen = new Set<string>();
  return body.map((item: unknown) => {
    if (!Array.isArray(item) || item.length !== 3) throw invalid();
    const [group, epoch, log] = item as unknown[];
    if (typeof group !== 'string' || group === '' || group.length > 63 || seen.has(group)) {
      throw invalid();
    }
    if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0) throw invalid();
    if (typeof log !== 'string' || !/^[0-9a-z]{1,13}$/.test(log)) throw invalid();
    const value = [...log].reduce((sum, digit) => sum * 36n + BigInt(parseInt(digit, 36)), 0n);
    if (value > LOG_MAX) throw invalid();
    seen.add(group);
    return { group, epoch, log: value };
  });
}

/** The later position per group: what a client that held both has seen. */
export function mergeTokens(...tokens: readonly Token[]): Token {
  const merged = new Map<GroupName, Position>();
  for (const position of tokens.flatMap(parseToken)) {
    const known = merged.get(position.group);
    if (known === undefined || reaches(position, known)) merged.set(position.group, position);
  }
  return formatToken([...merged.values()]);
}
