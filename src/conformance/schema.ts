/**
 * The suite's own cluster: two groups with three ranges, one table of each locality, in SQL plain
 * enough for every engine. Pure.
 */
import type { DesiredState } from '../engines/engine.ts';
import { present } from '../kernel/assert.ts';
import { parseMigration, type MigrationFile, type MigrationScope } from '../migrations/files.ts';
import { global, regional } from '../topology/locality.ts';
import { regionPair, type LatencyMatrix, type Region } from '../topology/region.ts';
import { layoutGroups, type SurvivalGoal } from '../topology/survival.ts';
import type { ClusterShape } from './subject.ts';

export interface Account {
  readonly id: string;
  readonly range: string;
}

/** Two in ranges of the first group, one in the second group's; `ANNE` shares Anna's range. */
export const ANNA: Account = { id: 'anna', range: 'r0001' };
export const ANNE: Account = { id: 'anne', range: 'r0001' };
export const BERT: Account = { id: 'bert', range: 'r0002' };
export const CLEO: Account = { id: 'cleo', range: 'r0003' };

const region = (name: string): Region => ({ name, zones: ['a', 'b', 'c'] });

const LATENCY: LatencyMatrix = {
  betweenRegionsMs: {
    [regionPair('home', 'near')]: 40,
    [regionPair('home', 'far')]: 60,
    [regionPair('near', 'far')]: 50,
  },
  betweenZonesMs: 1,
};

/** The smallest that the goal can be laid out on, and still has a distant reader. */
export function shapeFor(survive: SurvivalGoal): ClusterShape {
  const names = survive === 'zone' ? ['home', 'near'] : ['home', 'near', 'far'];
  return { survive, regions: names.map(region), latency: LATENCY };
}

export function migration(scope: MigrationScope, name: string, text: string): MigrationFile {
  return parseMigration({ scope, name, path: `conformance/${scope}/${name}` }, text);
}

const LABEL = migration(
  'database',
  '0001_label.sql',
  'CREATE TABLE label (code text PRIMARY KEY, body text NOT NULL);',
);
const ITEM = migration(
  'regional',
  '0001_item.sql',
  `CREATE TABLE item (
     account_id text, id bigint, amount bigint NOT NULL, PRIMARY KEY (account_id, id)
   );`,
);

/** One group is enough for laws that start a cluster of their own. */
export function desiredFor(shape: ClusterShape, groupCount: 1 | 2): DesiredState {
  const groups = layoutGroups({ ...shape, groupsPerRegion: 1 }).slice(0, groupCount);
  const [first, second] = groups.map((group) => group.name);
  const primaryGroup = present(first, 'a group');
  return {
    groups,
    primaryGroup,
    ranges: [
      { name: ANNA.range, group: primaryGroup },
      { name: BERT.range, group: primaryGroup },
      ...(second === undefined ? [] : [{ name: CLEO.range, group: second }]),
    ],
    tenantFence: true,
    tables: { label: global(), item: regional({ by: 'account_id' }) },
    databaseMigrations: [LABEL],
    regionalMigrations: [ITEM],
  };
}
