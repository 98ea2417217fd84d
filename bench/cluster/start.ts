/**
 * The cluster that `meridian verify` makes for itself, for benches: with clients in every zone, an app
 * server and a gateway in every region, and one table of rows to be inserted. Other than there, servers
 * wait for the disk and have the defaults of a declaration: what is measured is what anybody would get.
 */
import { rm } from 'node:fs/promises';
import { createFileLog } from '../../src/cli/file-log.ts';
import { DEFAULTS } from '../../src/config/defaults.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { startPlatform } from '../../src/platform.ts';
import type { StartPlatform } from '../../src/platform-api.ts';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { clusterFolder, startCluster, type VerifyCluster } from '../../src/verify/cluster.ts';
import { DEFAULT_GEOGRAPHY } from '../../src/verify/options.ts';

export interface BenchCluster extends VerifyCluster {
  /** With all that it has, for those who keep it. */
  readonly folder: string;
}

export interface BenchClusterStart {
  readonly layout: SurvivalGoal;
  /** Of emulated round trips. */
  readonly scale: number;
  /** Undefined: a temporary one. What an earlier run left there is ended, and discarded. */
  readonly folder?: string;
  readonly signal: AbortSignal;
  readonly onProgress: (line: string) => void;
}

const withDefaults: StartPlatform = (config, start) => {
  const { fsync, clockOffsetMaxMs } = DEFAULTS.engine.options;
  const options = { ...config.engine.options, fsync, clockOffsetMaxMs };
  return startPlatform({ ...config, engine: { ...config.engine, options } }, start);
};

export async function startBenchCluster(start: BenchClusterStart): Promise<BenchCluster> {
  const { layout, scale, signal, onProgress } = start;
  const folder = await clusterFolder(start.folder);
  const log = createFileLog({
    file: `${folder}/supervisor.log`,
    level: 'info',
    clock: systemClock,
  });
  const cluster = await startCluster({
    options: { ...{ seconds: 0, seed: 0, faults: [], keep: true }, layout, scale, folder },
    ...{ geography: DEFAULT_GEOGRAPHY, folder, startPlatform: withDefaults },
    ...{ clock: systemClock, log, onProgress, signal },
  });
  return { ...cluster, folder };
}

/** After everything that ran there has ended. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
