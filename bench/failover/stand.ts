/** What measurements of one layout are made on: a cluster, an account of every group, and who is where. */
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import type { RoutedGroup, RoutedNode } from '../../src/topology/routing.ts';
import { libraryDoor, type Door } from '../../src/verify/doors.ts';
import { serversOf, type Servers } from '../../src/verify/servers.ts';
import { Groups } from '../cluster/groups.ts';
import type { BenchCluster } from '../cluster/start.ts';

export interface Stand {
  readonly layout: SurvivalGoal;
  readonly cluster: BenchCluster;
  readonly groups: Groups;
  readonly servers: Servers;
  /** By group. */
  readonly accounts: Readonly<Record<string, readonly string[]>>;
  readonly leaseMs: number;
}

const ACCOUNTS_PER_GROUP = 4;

export async function standOn(cluster: BenchCluster): Promise<Stand> {
  const { observer, config, platform } = cluster;
  const groups = new Groups(cluster);
  const accounts: Record<string, string[]> = {};
  for (const { name: region } of config.regions) {
    for (let number = 0; number < ACCOUNTS_PER_GROUP; number += 1) {
      const id = `failover-${region}-${String(number)}`;
      const { home } = await observer.createAccount({ id, region });
      (accounts[home.group] ??= []).push(id);
    }
  }
  return {
    ...{ layout: config.survive, cluster, groups, accounts },
    servers: await serversOf(platform, config.dataDirectory),
    leaseMs: config.engine.options.leaseMs,
  };
}

export function leaderOf(group: RoutedGroup): RoutedNode {
  const leader = group.nodes.find(({ name }) => name === group.leader);
  if (leader === undefined) throw new Error(`${group.name} has no leader`);
  return leader;
}

/** Library clients that share no fate with a place: elsewhere in its region, or in the other regions. */
export function doorsBeside({ cluster, layout }: Stand, { locality }: RoutedNode): readonly Door[] {
  return cluster.placed
    .filter(({ region, zone }) =>
      layout === 'region'
        ? region !== locality.region
        : region === locality.region && zone !== locality.zone,
    )
    .map(({ db }) => libraryDoor(db));
}

export function doorsIn({ cluster }: Stand, { locality }: RoutedNode): readonly Door[] {
  return cluster.placed
    .filter(({ region }) => region === locality.region)
    .map(({ db }) => libraryDoor(db));
}

/** With region survival a failover leaves the home region: rounds are to begin alike. */
export async function home({ cluster, groups }: Stand, name: string): Promise<void> {
  await groups.whole(name);
  const group = groups.seen(name);
  if (leaderOf(group).locality.region === group.homeRegion) return;
  const region = group.homeRegion;
  await cluster.platform.operate({ kind: 'switchover', group: name, region });
  await groups.whole(name);
}
