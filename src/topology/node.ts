/** Database server processes and the groups they replicate in. Pure. */
import type { GroupName } from './position.ts';
import type { Locality, RegionName } from './region.ts';
import type { ResidencyName } from './residency.ts';

export type NodeName = string;

/** A voter counts for quorum and may lead; a non-voter only serves reads. */
export type NodeKind = 'voter' | 'non-voter';

export interface NodeSpec {
  readonly name: NodeName;
  readonly group: GroupName;
  readonly kind: NodeKind;
  readonly locality: Locality;
}

/** A replication group: its voters agree on one log, its leader (leaseholder) orders writes. */
export interface GroupSpec {
  readonly name: GroupName;
  /** Where its leader and, with zone survival, all its voters are. */
  readonly homeRegion: RegionName;
  readonly nodes: readonly NodeSpec[];
  /** All of them are in the regions of this residency; absent: they may be anywhere. */
  readonly residency?: ResidencyName | undefined;
}
