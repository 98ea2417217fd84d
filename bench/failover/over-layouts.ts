/** Measures on a cluster of its own for each layout, which goes away with what was measured. */
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { removeFolder, startBenchCluster } from '../cluster/start.ts';
import { versionsOf, type Versions } from '../cluster/versions.ts';
import { unlessInterrupted } from '../measuring/interrupted.ts';
import { standOn, type Stand } from './stand.ts';

/** Those that were named, or both. Throws for any other name. */
export function layoutsNamed(only: string | undefined): readonly SurvivalGoal[] {
  const layouts = (['zone', 'region'] as const).filter((layout) => (only ?? layout) === layout);
  if (layouts.length === 0) throw new Error(`${only ?? ''}: expected zone or region`);
  return layouts;
}

/** Resolves with what it was measured on; of a run that fails the data and logs are kept. */
export async function overLayouts(
  layouts: readonly SurvivalGoal[],
  signal: AbortSignal,
  measure: (stand: Stand) => Promise<void>,
): Promise<Versions | undefined> {
  let versions: Versions | undefined;
  for (const layout of layouts) {
    const cluster = await startBenchCluster({
      ...{ layout, scale: 1, signal },
      onProgress: (line) => {
        console.log(`${layout}: ${line}`);
      },
    });
    let done = false;
    try {
      const stand = await standOn(cluster);
      const [group = ''] = stand.groups.names;
      versions = await versionsOf(stand.servers, (await stand.groups.open(group)).leader);
      await unlessInterrupted(signal, measure(stand));
      done = true;
    } finally {
      await cluster[Symbol.asyncDispose]();
      if (done) await removeFolder(cluster.folder);
      else console.log(`data and logs are kept in ${cluster.folder}`);
    }
  }
  return versions;
}
