/**
 * The emulated WAN as its users see it: directed links that are dialled like the real thing.
 *
 * A link leads from a zone to one listening address. Whoever is in that zone dials the address that
 * `link` gave, and the bytes take the time that the latency matrix says. Addresses given out stay valid
 * as long as the WAN lives, also when the target restarts on another port (`retarget`).
 */
import type { Locality, RegionName, ZoneName } from '../topology/region.ts';
import type { Address } from '../topology/routing.ts';

/** A region, a zone of it, or with neither everything. */
export interface Place {
  readonly region?: RegionName;
  readonly zone?: ZoneName;
}

/**
 * Which traffic a cut stops. Without a target it speaks of places, whoever dialled:
 *   { from: A, to: B }   between A and B (with `oneWay`: only the bytes that travel from A to B)
 *   { from: A }          between A and the rest of the world: what is within A goes on
 *   { }                  everything
 * With a target it speaks of links, as they are dialled: those to this address, from and to as given;
 * `oneWay` then stops only the bytes that travel towards the target.
 */
export interface CutSelector {
  readonly from?: Place;
  readonly to?: Place;
  readonly target?: Address;
  readonly oneWay?: boolean;
}

/** Adds to the round trip of what the selector speaks of; one way, all of it to that direction. */
export interface SlowRule {
  readonly selector: CutSelector;
  readonly addMs: number;
}

/** All that is wrong with the network on purpose. */
export interface WanFaults {
  readonly cuts: readonly CutSelector[];
  readonly slows: readonly SlowRule[];
}

/** Seen from the link's dialling end. */
export type CutState = 'none' | 'forward' | 'backward' | 'both';

export interface LinkStatus {
  readonly from: Locality;
  readonly to: Locality;
  readonly target: Address;
  /** Where the link listens. */
  readonly port: number;
  /** As the latency matrix says. */
  readonly roundTripMs: number;
  /** On top of it. */
  readonly addedMs: number;
  readonly connections: number;
  /** Both directions, since the link was opened. */
  readonly bytesForwarded: number;
  readonly cut: CutState;
}

export interface LinkRequest {
  readonly from: Locality;
  readonly to: Locality;
  readonly target: Address;
}

export interface Wan extends AsyncDisposable {
  /** The address to dial from `from`; the same one for the same zone and target. */
  link(request: LinkRequest): Promise<Address>;
  /** The server at `previous` now listens at `next`: links that led there lead here. */
  retarget(previous: Address, next: Address): Promise<void>;
  /** Partition: bytes stall and new connections stay silent, until healed. Later links obey it too. */
  cut(selector: CutSelector): Promise<void>;
  /** Ends cuts for what the selector matches; stalled bytes then flow, in order. */
  heal(selector: CutSelector): Promise<void>;
  /**
   * These faults and no others from now on, in one step: what one of them still stops stays stopped
   * while another ends. Later links obey them too.
   */
  impose(faults: WanFaults): Promise<void>;
  links(): Promise<readonly LinkStatus[]>;
  /** Resolves when the WAN has ended, asked or not: without it, no link carries anything. */
  readonly ended: Promise<void>;
}

/** One link per zone and target: everybody in the zone shares it. */
export function linkKey(from: Locality, target: Address): string {
  return `${from.region}/${from.zone}>${formatAddress(target)}`;
}

export function formatAddress(address: Address): string {
  return `${address.host}:${String(address.port)}`;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.host === b.host && a.port === b.port;
}
