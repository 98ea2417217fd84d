/**
 * Where everything is right now: the picture that the control store pushes to every gateway and app
 * process, and from which they route without asking anyone. Immutable; a newer one replaces it whole.
 *
 * A picture may be old. That is safe, because the database refuses a stale epoch (ERR_ENGINE_STALE_ROUTE)
 * before it does anything.
 */
import type { NodeKind, NodeName } from './node.ts';
import type { GroupName, Token } from './position.ts';
import type { Locality, RegionName } from './region.ts';
import type { ResidencyName } from './residency.ts';

export type RangeName = string;
export type AccountId = string;

/** An address as seen from the subscriber's own locality: through the emulated WAN where there is one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface RoutedNode {
  readonly name: NodeName;
  readonly kind: NodeKind;
  readonly locality: Locality;
  readonly address: Address;
  /** Round trip from the subscriber in ms, for choosing the nearest. */
  readonly roundTripMs: number;
}

export interface RoutedGroup {
  readonly name: GroupName;
  readonly homeRegion: RegionName;
  /** Rises with every change of leader and every in-place restart. */
  readonly epoch: number;
  /** Undefined while the group has no leader open for business. */
  readonly leader: NodeName | undefined;
  readonly nodes: readonly RoutedNode[];
  /** Its accounts are pinned to it; absent: to none. */
  readonly residency?: ResidencyName | undefined;
}

export interface RoutedRange {
  readonly name: RangeName;
  readonly group: GroupName;
  /** Rises with every move of the range, and when accounts come into it that were in another group. */
  readonly epoch: number;
  /**
   * Where the groups that had it before have closed it. Whoever uses the range where it is now has seen
   * that much, so it is part of the tokens of its transactions. Absent: it was never moved.
   */
  readonly origins?: Token | undefined;
  /** It was made for accounts that went there from another range: new ones are put elsewhere. */
  readonly made?: boolean | undefined;
  /**
   * It is being copied to this group, and will be handed over. Whoever uses it may dial the leader there: a
   * connection takes several round trips.
   */
  readonly goingTo?: GroupName | undefined;
}

export interface RoutedAppServer {
  /** "eu-west.0" */
  readonly name: string;
  /** Tells a server from its successor of the same name: while it is replaced there are two. */
  readonly instance: string;
  readonly locality: Locality;
  readonly address: Address;
  /** Round trip from the subscriber in ms, for choosing the nearest. */
  readonly roundTripMs: number;
  /** Passed its last health check and is not draining. */
  readonly ready: boolean;
}

export interface RoutingView {
  /** Rises with every change: a subscriber keeps the highest it has seen. */
  readonly version: number;
  readonly primaryGroup: GroupName;
  readonly groups: Readonly<Record<GroupName, RoutedGroup>>;
  readonly ranges: Readonly<Record<RangeName, RoutedRange>>;
  readonly appServers: readonly RoutedAppServer[];
  /** Rises when accounts have got another home: what was looked up before may be old. Absent: 0. */
  readonly directory?: number | undefined;
}

/** Where an account lives, as a lookup in the directory found it. */
export interface AccountHome {
  readonly account: AccountId;
  readonly range: RangeName;
  readonly group: GroupName;
  readonly homeRegion: RegionName;
}
