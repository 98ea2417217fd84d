/** The largest failure that must not stop writes, and the nodes that this takes. Pure. */
import { present } from '../kernel/assert.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { GroupSpec, NodeSpec } from './node.ts';
import type { Region } from './region.ts';

export type SurvivalGoal = 'zone' | 'region';

export interface LayoutOptions {
  readonly regions: readonly Region[];
  readonly survive: SurvivalGoal;
  readonly groupsPerRegion: number;
}

/** Voters of one group: writes need two of three, so any one may be lost. */
export const VOTERS_PER_GROUP = 3;

/**
 * Zone survival, as CockroachDB lays it out: three voters in three zones of the home region, so that
 * commits stay regional, and one non-voter in every other region for local reads.
 *
 * Throws ERR_ENGINE_UNSUPPORTED for layouts that are not built yet.
 */
export function layoutGroups(options: LayoutOptions): GroupSpec[] {
  if (options.survive !== 'zone') {
    throw new MeridianError(
      'ERR_ENGINE_UNSUPPORTED',
      `survive: '${options.survive}' is not available on this engine yet`,
      { remedy: "Use survive: 'zone'." },
    );
  }
  return options.regions.flatMap((home, homeIndex) =>
    Array.from({ length: options.groupsPerRegion }, (_, index): GroupSpec => {
      const name = `${home.name}-${String(index + 1)}`;
      const voters = home.zones.slice(0, VOTERS_PER_GROUP).map((zone): NodeSpec => ({
        name: `${name}.${zone}`,
        group: name,
        kind: 'voter',
        locality: { region: home.name, zone },
      }));
      const nonVoters = options.regions
        .filter((region) => region.name !== home.name)
        .map((region): NodeSpec => {
          // Spread the non-voters of different groups over the zones of the region they serve.
          const zone = present(region.zones[(homeIndex + index) % region.zones.length], 'zone');
          return {
            name: `${name}.${region.name}`,
            group: name,
            kind: 'non-voter',
            locality: { region: region.name, zone },
          };
        });
      return { name, homeRegion: home.name, nodes: [...voters, ...nonVoters] };
    }),
  );
}
