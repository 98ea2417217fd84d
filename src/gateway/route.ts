/**
 * Which app server gets a request, or why none does. Pure: decided from one routing view.
 *
 * Reads stay in the region (its app servers read a local replica); only without a ready server here
 * do they go to the account's home. Writes go to the home region's app servers by one hop, so that a
 * transaction's statements don't each cross the ocean. A request crosses regions once at most: one
 * that has hopped already is refused.
 */
import type { ErrorCode } from '../kernel/errors.ts';
import type { RegionName, ZoneName } from '../topology/region.ts';
import type { AccountHome, AccountId, RoutedAppServer, RoutingView } from '../topology/routing.ts';

export type RouteReason = 'local-read' | 'home-read' | 'local-write' | 'home-write';

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
  inFlight(server: string): number;
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
  const here = choose({ region: facts.region, zone: facts.zone }, { facts, view, load });
  if (here !== undefined && !facts.tried.has(here.name)) {
    return { kind: 'forward', server: here, why: 'local-read' };
  }
  if (facts.home === undefined && facts.account !== undefined) {
    return { kind: 'locate', account: facts.account };
  }
  if (facts.home !== undefined && facts.home.homeRegion !== facts.region) {
    const there = choose(leaderPlace(facts.home, view), { facts, view, load });
    if (there !== undefined && (here === undefined || !facts.tried.has(there.name))) {
      return { kind: 'forward', server: there, why: 'home-read' };
    }
  }
  if (here !== undefined) return { kind: 'forward', server: here, why: 'local-read' };
  return noServer(facts.region, facts.home?.homeRegion);
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
  const server = choose(place, { facts, view, load });
  if (server === undefined) return noServer(region, undefined);
  return {
    kind: 'forward',
    server,
    why: region === facts.region ? 'local-write' : 'home-write',
  };
}

function noServer(region: RegionName, other: RegionName | undefined): Route {
  const where = other === undefined || other === region ? region : `${region} or ${other}`;
  return {
    kind: 'refuse',
    code: 'ERR_GATEWAY_NO_APP_SERVER',
    reason: `no app server of ${where} is ready`,
    retryAfterMs: NO_SERVER_RETRY_MS,
  };
}

interface Place {
  readonly region: RegionName;
  readonly zone: ZoneName | undefined;
}

/** Where the account's writes are ordered. */
function leaderPlace(home: AccountHome, view: RoutingView): Place {
  const group = view.groups[home.group];
  const leader = group?.nodes.find((node) => node.name === group.leader);
  return { region: home.homeRegion, zone: leader?.locality.zone };
}

/**
 * The ready server of a region, in the preferred zone if it is not busier, with the fewest requests in flight; those not tried yet go first. A
 * server that failed once may be tried again when it is the only one: its connection may have been
 * old, not the server dead.
 */
function choose(
  place: Place,
  from: { readonly facts: RouteFacts; readonly view: RoutingView; readonly load: Load },
): RoutedAppServer | undefined {
  const { facts, view, load } = from;
  const servers = view.appServers;
  let best: RoutedAppServer | undefined;
  let bestCost = Infinity;
  for (let i = 0; i < servers.length; i += 1) {
    const server = servers[(i + load.turn) % servers.length];
    if (server === undefined || !server.ready || server.locality.region !== place.region) continue;
    const away = place.zone !== undefined && server.locality.zone !== place.zone;
    const cost =
      load.inFlight(server.name) +
      (away ? OTHER_ZONE_COST : 0) +
      (facts.tried.has(server.name) ? 1e9 : 0);
    if (cost < bestCost) {
      best = server;
      bestCost = cost;
    }
  }
  return best;
}
