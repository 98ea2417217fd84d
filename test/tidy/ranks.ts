/**
 * The direction of imports as data. A part may import itself and any part of a lower rank; parts of one
 * rank do not know each other. docs/ARCHITECTURE.md draws the same table for people.
 */
export const RANKS: Readonly<Record<string, number>> = {
  kernel: 0,
  topology: 1,
  wan: 2,
  control: 2,
  migrations: 2,
  engines: 3,
  chaos: 4,
  client: 4,
  conformance: 4,
  placement: 4,
  gateway: 5,
  app: 5,
  orchestrate: 6,
  config: 7,
  doctor: 8,
  'platform-api.ts': 8,
  'platform-parts.ts': 8,
  'platform-placement.ts': 9,
  verify: 9,
  'platform.ts': 10,
  'index.ts': 11,
  cli: 11,
};

/** The part of a path under src/: its folder, or the file itself at the top. */
export function partOf(path: string): string {
  return path.split('/')[1] ?? '';
}

/** Why this import is forbidden, or undefined. Both paths start with src/. */
export function importFault(from: string, to: string): string | undefined {
  const [fromPart, toPart] = [partOf(from), partOf(to)];
  const [fromRank, toRank] = [RANKS[fromPart], RANKS[toPart]];
  if (fromRank === undefined) return `${fromPart} has no rank in test/tidy/ranks.ts`;
  if (toRank === undefined) return `${toPart} has no rank in test/tidy/ranks.ts`;
  if (fromPart === toPart || toRank < fromRank) return undefined;
  return `${from} (rank ${String(fromRank)}) imports ${to} (rank ${String(toRank)})`;
}
