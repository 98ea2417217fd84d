/**
 * Names for prepared statements, per connection. A name stands for one text in one range: the server
 * keeps a plan per name and makes it anew whenever the search path has changed, so a name shared by
 * many ranges would be planned at almost every use (docs/decisions/0002).
 *
 * Bounded: a program that puts values into its texts gets unnamed statements once the names are used up.
 */
import type pg from 'pg';

const NAMES_MAX = 256;

const names = new WeakMap<pg.PoolClient, Map<string, string>>();

/** Undefined when this connection has no name left. */
export function statementName(
  client: pg.PoolClient,
  range: string,
  text: string,
): string | undefined {
  const known = names.get(client) ?? new Map<string, string>();
  names.set(client, known);
  const key = `${range}\n${text}`;
  const name = known.get(key);
  if (name !== undefined) return name;
  if (known.size >= NAMES_MAX) return undefined;
  const made = `meridian_${String(known.size + 1)}`;
  known.set(key, made);
  return made;
}
