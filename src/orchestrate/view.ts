/**
 * The routing view of one subscriber: the engine's routes and the app servers, with addresses and
 * round trips as they are from where the subscriber stands.
 */
import type { EngineRoutes } from '../engines/engine.ts';
import type { GroupSpec } from '../topology/node.ts';
import { roundTripMs, type LatencyMatrix, type Locality } from '../topology/region.ts';
import type {
  Address,
  RoutedAppServer,
  RoutedGroup,
  RoutedNode,
  RoutingView,
} from '../topology/routing.ts';

export interface AppServerPlace {
  readonly name: string;
  readonly instance: string;
  readonly locality: Locality;
  /** Where it listens, not yet as seen from anywhere. */
  readonly address: Address;
  readonly ready: boolean;
}

export interface ViewSources {
  readonly version: number;
  readonly groups: readonly GroupSpec[];
  readonly primaryGroup: string;
  readonly latency: LatencyMatrix;
  readonly routes: EngineRoutes;
  readonly appServers: readonly AppServerPlace[];
  /** The address to dial from one locality to reach a target in another. */
  readonly link: (route: { from: Locality; to: Locality; target: Address }) => Promise<Address>;
}

export async function viewFor(sources: ViewSources, from: Locality): Promise<RoutingView> {
  const ports = new Map(sources.routes.nodes.map(({ node, address }) => [node, address]));
  const groups = await Promise.all(
    sources.groups.map(async (group): Promise<RoutedGroup> => {
      const state = sources.routes.groups[group.name];
      const nodes = await Promise.all(
        group.nodes.flatMap((node) => {
          const target = ports.get(node.name);
          // A node without a port has never been started.
          if (target === undefined || target.port === 0) return [];
          const routed = async (): Promise<RoutedNode> => ({
            name: node.name,
            kind: node.kind,
            locality: node.locality,
            address: await sources.link({ from, to: node.locality, target }),
            roundTripMs: roundTripMs(sources.latency, from, node.locality),
          });
          return [routed()];
        }),
      );
      return {
        name: group.name,
        homeRegion: group.homeRegion,
        epoch: state?.epoch ?? 0,
        leader: state?.leader,
        nodes,
        ...(group.residency === undefined ? {} : { residency: group.residency }),
      };
    }),
  );
  // One without a port waits for its next start: there is nowhere to send to.
  const reachable = sources.appServers.filter(({ address }) => address.port !== 0);
  const appServers = await Promise.all(
    reachable.map(async (server): Promise<RoutedAppServer> => ({
      name: server.name,
      instance: server.instance,
      locality: server.locality,
      address: await sources.link({ from, to: server.locality, target: server.address }),
      roundTripMs: roundTripMs(sources.latency, from, server.locality),
      ready: server.ready,
    })),
  );
  return {
    version: sources.version,
    primaryGroup: sources.primaryGroup,
    groups: Object.fromEntries(groups.map((group) => [group.name, group])),
    ranges: Object.fromEntries(
      Object.entries(sources.routes.ranges).map(([name, range]) => [name, { name, ...range }]),
    ),
    appServers,
    directory: sources.routes.directory,
  };
}
