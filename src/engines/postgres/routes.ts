/** What clients need to know, from the cluster's present state. Pure. */
import type { EngineRoutes } from '../engine.ts';
import type { Cluster } from './cluster.ts';

export type RangePlaces = Map<string, EngineRoutes['ranges'][string]>;

export function routesOf(cluster: Cluster, ranges: RangePlaces): EngineRoutes {
  return {
    directory: cluster.directory,
    groups: Object.fromEntries(
      [...cluster.groups.values()].map((group) => [
        group.spec.name,
        { epoch: group.epoch, leader: group.open ? group.leader : undefined },
      ]),
    ),
    ranges: Object.fromEntries(
      [...ranges].map(([name, range]) => [
        name,
        cluster.register.takesAccounts(name) ? range : { ...range, made: true },
      ]),
    ),
    nodes: [...cluster.nodes.values()].map((node) => ({
      node: node.spec.name,
      address: { host: '127.0.0.1', port: node.port },
    })),
  };
}
