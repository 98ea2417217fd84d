/** What the configuration declares, in the engine's terms. Pure. */
import { present } from '../kernel/assert.ts';
import type { DesiredState } from '../engines/engine.ts';
import type { MigrationFiles } from '../migrations/files.ts';
import type { TableLocality } from '../topology/locality.ts';
import { dealtRanges } from '../topology/dealing.ts';
import type { LatencyMatrix, Region } from '../topology/region.ts';
import type { Residency } from '../topology/residency.ts';
import { layoutGroups, type SurvivalGoal } from '../topology/survival.ts';

export interface Declaration {
  readonly regions: readonly Region[];
  readonly primaryRegion: string;
  readonly survive: SurvivalGoal;
  readonly groupsPerRegion: number;
  readonly rangesPerRegion: number;
  readonly residencies?: readonly Residency[];
  readonly latency: { readonly matrix: LatencyMatrix };
  readonly tables: Readonly<Record<string, TableLocality>>;
  readonly tenantFence: boolean;
}

export function desiredState(declared: Declaration, migrations: MigrationFiles): DesiredState {
  const groups = layoutGroups({ ...declared, latency: declared.latency.matrix });
  const primary = present(
    groups.find((group) => group.homeRegion === declared.primaryRegion),
    'a group in the primary region',
  );
  const places = dealtRanges(declared.regions, groups, declared.rangesPerRegion);
  return {
    groups,
    primaryGroup: primary.name,
    ranges: places.map((group, index) => ({ name: rangeName(index + 1), group })),
    tables: declared.tables,
    tenantFence: declared.tenantFence,
    databaseMigrations: migrations.database,
    regionalMigrations: migrations.regional,
  };
}

function rangeName(number: number): string {
  return `r${String(number).padStart(4, '0')}`;
}
