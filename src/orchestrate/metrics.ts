/**
 * The platform's metrics: what the supervisor knows, and what its processes have reported. A scrape
 * observes the databases once; scrapes that come meanwhile share it.
 */
import { expose, type Exposition } from '../control/metrics/exposition.ts';
import { processLabel, statusSamples } from '../control/metrics/from-status.ts';
import { MetricsInbox } from '../control/metrics/inbox.ts';
import type { MetricsReport } from '../control/metrics/sample.ts';
import type { StatusReport } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Region } from '../topology/region.ts';

export interface PlatformMetrics {
  readonly report: (report: MetricsReport) => void;
  readonly expose: () => Promise<Exposition>;
}

export function platformMetrics(
  clock: Clock,
  platform: {
    readonly regions: readonly Region[];
    /** App servers in each region; 0 without an application. */
    readonly appServersPerRegion: number;
    readonly status: () => Promise<StatusReport>;
  },
): PlatformMetrics {
  const known = processNames(platform.regions, platform.appServersPerRegion);
  const inbox = new MetricsInbox(clock, (process) => known.has(process));
  let scrape: Promise<Exposition> | undefined;
  return {
    report: (report) => {
      inbox.accept(report);
    },
    expose: () => {
      scrape ??= platform
        .status()
        .then((status) => expose([...statusSamples(status), ...inbox.samples()]))
        .finally(() => {
          scrape = undefined;
        });
      return scrape;
    },
  };
}

/** The processes that the supervisor starts, by the names they get. */
function processNames(regions: readonly Region[], appServersPerRegion: number): Set<string> {
  return new Set(
    regions.flatMap(({ name }) => [
      processLabel('gateway', name),
      ...Array.from({ length: appServersPerRegion }, (_, index) =>
        processLabel('app', `${name}.${String(index)}`),
      ),
    ]),
  );
}
