/** Where data may be, for accounts that are pinned. Pure. */
import type { RegionName } from './region.ts';

/** "eu-only" */
export type ResidencyName = string;

/** Every copy of what is pinned to it is in these regions, and in no other. */
export interface Residency {
  readonly name: ResidencyName;
  readonly regions: readonly RegionName[];
}

/** Of accounts in the group; null: they are pinned to none. */
export function residencyOf(
  group: { readonly residency?: ResidencyName | undefined } | undefined,
): ResidencyName | null {
  return group?.residency ?? null;
}
