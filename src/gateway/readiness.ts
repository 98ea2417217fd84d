/**
 * Should traffic be sent to this gateway? Pure. Three questions of three kinds of askers:
 *
 *   /healthz       is the process alive at all?
 *   /readyz        can it serve? Also through another region, when this one's app servers are gone.
 *   /readyz/local  can it serve from its own region? For balancers that have another region to go to.
 */
import type { RegionName } from '../topology/region.ts';
import type { RoutingView } from '../topology/routing.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Ready, but not by app servers of its own region. */
  readonly degraded: boolean;
  readonly reason: string;
  /** Ready app servers of the region. */
  readonly appServers: number;
}

export function readiness(
  region: RegionName,
  view: RoutingView | undefined,
  draining: boolean,
): Readiness {
  const ready = view?.appServers.filter((server) => server.ready) ?? [];
  const appServers = ready.filter((server) => server.locality.region === region).length;
  const down = (reason: string): Readiness => ({
    ready: false,
    degraded: false,
    reason,
    appServers,
  });
  if (draining) return down('the gateway is stopping');
  if (view === undefined) return down('no routing view yet');
  if (appServers > 0) return { ready: true, degraded: false, reason: 'ready', appServers };
  if (ready.length === 0) return down('no app server of any region is ready');
  const reason = `no app server of ${region} is ready; other regions serve its requests`;
  return { ready: true, degraded: true, reason, appServers };
}

export interface HealthAnswer {
  readonly status: 200 | 503;
  readonly word: 'ok' | 'degraded' | 'unavailable';
  readonly state: Readiness;
}

/** The answer to a health request; undefined for every other path. */
export function healthAnswer(
  path: string | undefined,
  state: () => Readiness,
): HealthAnswer | undefined {
  if (path !== '/healthz' && path !== '/readyz' && path !== '/readyz/local') return undefined;
  const seen = state();
  const good = path === '/healthz' || (seen.ready && !(path === '/readyz/local' && seen.degraded));
  if (!good) return { status: 503, state: seen, word: 'unavailable' };
  return { status: 200, state: seen, word: seen.degraded ? 'degraded' : 'ok' };
}
