/** Should traffic be sent to this gateway? Pure. `/healthz` asks less: is it alive at all. */
import type { RegionName } from '../topology/region.ts';
import type { RoutingView } from '../topology/routing.ts';

export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
  /** Ready app servers of the region. */
  readonly appServers: number;
}

export function readiness(
  region: RegionName,
  view: RoutingView | undefined,
  draining: boolean,
): Readiness {
  const appServers =
    view?.appServers.filter((server) => server.ready && server.locality.region === region).length ??
    0;
  if (draining) return { ready: false, reason: 'the gateway is stopping', appServers };
  if (view === undefined) return { ready: false, reason: 'no routing view yet', appServers };
  if (appServers === 0) {
    return { ready: false, reason: `no app server of ${region} is ready`, appServers };
  }
  return { ready: true, reason: 'ready', appServers };
}
