/** A declaration of three regions and pictures of its cluster, for tests of the engine's decisions. */
import type { DesiredState } from '../../src/engines/engine.ts';
import type { ClusterSnapshot, ObservedNode } from '../../src/engines/snapshot.ts';
import type { MigrationFile } from '../../src/migrations/files.ts';
import { desiredState } from '../../src/orchestrate/desired.ts';
import { regional } from '../../src/topology/locality.ts';
import { regionPair, type LatencyMatrix } from '../../src/topology/region.ts';

export const REGIONS = ['us-east', 'eu-west', 'ap-south'].map((name) => ({
  name,
  zones: ['a', 'b', 'c'],
}));

export const LATENCY: LatencyMatrix = {
  betweenRegionsMs: {
    [regionPair('us-east', 'eu-west')]: 80,
    [regionPair('us-east', 'ap-south')]: 200,
    [regionPair('eu-west', 'ap-south')]: 140,
  },
  betweenZonesMs: 1,
};

export const file = (name: string, checksum = `sum of ${name}`): MigrationFile => ({
  scope: 'regional',
  name,
  path: `migrations/${name}`,
  checksum,
  statements: [],
});

export const DESIRED: DesiredState = desiredState(
  {
    regions: REGIONS,
    primaryRegion: 'us-east',
    survive: 'zone',
    groupsPerRegion: 1,
    rangesPerRegion: 1,
    latency: { matrix: LATENCY },
    tables: { purse: regional({ by: 'account_id' }) },
    tenantFence: true,
  },
  { database: [file('0001-currency.sql')], regional: [file('0001-purse.sql')] },
);

/** Nothing there yet. */
export const FRESH: ClusterSnapshot = { atMs: 0, nodes: {}, groups: {}, ranges: {} };

/** All that is declared, done. */
export function converged(desired: DesiredState = DESIRED): ClusterSnapshot {
  const applied = (files: readonly MigrationFile[]): { name: string; checksum: string }[] =>
    files.map(({ name, checksum }) => ({ name, checksum }));
  const nodes = desired.groups.flatMap((group) =>
    group.nodes.map((node, index): ObservedNode => ({
      ...{ name: node.name, group: group.name, initialised: true, running: true },
      ...{ pid: 100 + index, port: 20_000 + index, role: index === 0 ? 'leader' : 'follower' },
      ...{ streaming: index > 0, position: 50_331_976n, lagBytes: 0, lagMs: 12.4 },
    })),
  );
  return {
    atMs: 0,
    nodes: Object.fromEntries(nodes.map((node) => [node.name, node])),
    groups: Object.fromEntries(
      desired.groups.map((group) => [
        group.name,
        {
          ...{ name: group.name, epoch: 1, leader: group.nodes[0]?.name ?? null, open: true },
          ...{ settled: true, schemaVersion: 1, globalLagBytes: null, accounts: null },
          inDoubt: { count: 0, oldestMs: 0 },
          databaseMigrations: applied(desired.databaseMigrations),
          globals: group.name === desired.primaryGroup ? 'publisher' : 'subscribed',
        } as const,
      ]),
    ),
    ranges: Object.fromEntries(
      desired.ranges.map((range) => [
        range.name,
        {
          ...range,
          epoch: 1,
          state: 'open' as const,
          migrations: applied(desired.regionalMigrations),
        },
      ]),
    ),
  };
}
