/**
 * Which app server gets a request, or why none does. Pure: decided from one routing view.
 *
 * Reads stay in the region (its app servers read a local replica). Writes go to the app servers of the
 * region that leads the account's group, which is its home unless that has failed: one hop, so that a
 * transaction's statements don't each cross the ocean. Where a region has
 * no ready server, its part falls to the nearest region that has one: a write's statements then cross
 * the ocean, which is slower and as correct. A request crosses regions once at most: one that has
 * hopped already is refused.
 */
import type { ErrorCode } from '../kernel/errors.ts';
import type { RegionName, ZoneName } from '../topology/region.ts';
import type { AccountHome, AccountId, RoutedAppServer, RoutingView } from '../topology/routing.ts';

export type RouteReason =
  | 'local-read'
  | 'local-write'
  | 'home-write'
  /** By a region that is neither this one nor the home, or that only stands in for it. */
  | 'failover-read'
  | 'failover-write';

export interface RouteFacts {
  readonly method: string;
  /** This gateway's own. */
  readonly region: RegionName;
  /** This gateway's own; reads prefer servers of it. */
  readonly zone?: ZoneName;
  readonly account: AccountId | undefined;
  /** Undefined until it has been looked up. */
  readonly home: AccountHome | undefined;
  /** The request has been through a gateway before. */
  readonly hopped: boolean;
  /** Names of the servers that failed this request already. */
  readonly tried: ReadonlySet<string>;
}

/** What the choice between equal servers depends on. */
export interface Load {
  /** Requests that this gateway has in flight to the server. */
  inFlight(server: RoutedAppServer): number;
  /** It has failed a request a moment ago: any other of its region is better. */
  avoided(server: RoutedAppServer): boolean;
  /** Rises with every choice: ties are broken in turn. */
  readonly turn: number;
}

export type Route =
  | { readonly kind: 'forward'; readonly server: RoutedAppServer; readonly why: RouteReason }
  /** The account's home decides: look it up and ask again. */
  | { readonly kind: 'locate'; readonly account: AccountId }
  | {
      readonly kind: 'refuse';
      readonly code: ErrorCode;
      readonly reason: string;
      readonly retryAfterMs: number | undefined;
    };

/**
 * Crossing zones costs each of a transaction's statements a round trip, so a server in the right zone
 * is preferred until it has this many more requests in flight than another: zone-aware routing with
 * spill-over, as load balancers do it.
 */
const OTHER_ZONE_COST = 4;

export const NO_SERVER_RETRY_MS = 1_000;

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']);

/** Safe methods (RFC 9110 §9.2.1): they ask for no change. */
export function isRead(method: string): boolean {
  return READS.has(method);
}

/** Repeating the request has the effect of sending it once (RFC 9110 §9.2.2). */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

export function chooseRoute(facts: RouteFacts, view: RoutingView, load: Load): Route {
  if (facts.hopped) {
    return {
      kind: 'refuse',
      code: 'ERR_GATEWAY_MISDIRECTED',
      reason: `the request has been forwarded by a gateway before it came to ${facts.region}'s`,
      retryAfterMs: undefined,
    };
  }
  return isRead(facts.method) ? routeRead(facts, view, load) : routeWrite(facts, view, load);
}

function routeRead(facts: RouteFacts, view: RoutingView, load: Load): Route {
  const from = { facts, view, load };
  const here = choose({ region: facts.region, zone: facts.zone }, from);
  if (here !== undefined && !facts.tried.has(here.name)) {
    return { kind: 'forward', server: here, why: 'local-read' };
  }
  const next = nextRegion(facts.region, from);
  if (next !== undefined && (here === undefined || !facts.tried.has(next.name))) {
    return { kind: 'forward', server: next, why: 'failover-read' };
  }
  if (here !== undefined) return { kind: 'forward', server: here, why: 'local-read' };
  return noServer();
}

function routeWrite(facts: RouteFacts, view: RoutingView, load: Load): Route {
  if (facts.account !== undefined && facts.home === undefined) {
    return { kind: 'locate', account: facts.account };
  }
  const place =
    facts.home === undefined
      ? { region: facts.region, zone: facts.zone }
      : leaderPlace(facts.home, view);
  const { region } = place;
  const from = { facts, view, load };
  const why = writeReason(region, facts);
  const server = choose(place, from);
  if (server !== undefined && !facts.tried.has(server.name)) {
    return { kind: 'forward', server, why };
  }
  const next = nextRegion(region, from);
  if (next !== undefined && (server === undefined || !facts.tried.has(next.name))) {
    return { kind: 'forward', server: next, why: 'failover-write' };
  }
  return server === undefined ? noServer() : { kind: 'forward', server, why };
}

function writeReason(region: RegionName, { region: here, home }: RouteFacts): RouteReason {
  if (region === here) return 'local-write';
  return home === undefined || region === home.homeRegion ? 'home-write' : 'failover-write';
}

function noServer(): Route {
  return {
    kind: 'refuse',
    code: 'ERR_GATEWAY_NO_APP_SERVER',
    reason: 'no app server of any region is ready',
    retryAfterMs: NO_SERVER_RETRY_MS,
  };
}

/** The server to ask in the nearest region with a ready one, this one left out. */
function nextRegion(without: RegionName, from: Choosing): RoutedAppServer | undefined {
  let nearest: RoutedAppServer | undefined;
  for (const server of from.view.appServers) {
    if (!server.ready || server.locality.region === without) continue;
    if (nearest === undefined || server.roundTripMs < nearest.roundTripMs) nearest = server;
  }
  if (nearest === undefined) return undefined;
  return choose({ region: nearest.locality.region, zone: undefined }, from);
}

interface Place {
  readonly region: RegionName;
  readonly zone: ZoneName | undefined;
}

/** Where the account's writes are ordered: while nobody does, its home, which leads again if it can. */
function leaderPlace(home: AccountHome, view: RoutingView): Place {
  const group = view.groups[home.group];
  const leader = group?.nodes.find((node) => node.name === group.leader);
  return leader?.locality ?? { region: home.homeRegion, zone: undefined };
}

interface Choosing {
  readonly facts: RouteFacts;
  readonly view: RoutingView;
  readonly load: Load;
}

/**
 * The ready server of a region, in the preferred zone if it is not busier, with the fewest requests in
 * flight; those that have not failed come first. A server that failed once may be tried again when it
 * is the only one: its connection may have been old, not the server dead.
 */
function choose(place: Place, from: Choosing): RoutedAppServer | undefined {
  const { facts, view, load } = from;
  const servers = view.appServers;
  let best: RoutedAppServer | undefined;
  let bestCost = Infinity;
  for (let i = 0; i < servers.length; i += 1) {
    const server = servers[(i + load.turn) % servers.length];
    if (server === undefined || !server.ready || server.locality.region !== place.region) continue;
    const away = place.zone !== undefined && server.locality.zone !== place.zone;
    const cost =
      load.inFlight(server) +
      (away ? OTHER_ZONE_COST : 0) +
      (load.avoided(server) ? 1e6 : 0) +
      (facts.tried.has(server.name) ? 1e9 : 0);
    if (cost < bestCost) {
      best = server;
      bestCost = cost;
    }
  }
  return best;
}
