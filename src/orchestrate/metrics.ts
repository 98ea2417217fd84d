/**
 * The platform's metrics: what the supervisor knows, and what its processes have reported. Scrapes within
 * a second of each other share one answer, so that no number of scrapers keeps the databases busy.
 *
 * Each source fails for itself: the others are shown, and the failure is counted. An observation that
 * takes too long is waited for by nobody, and no second one begins beside it.
 */
import { expose, type Exposition } from '../control/metrics/exposition.ts';
import {
  databaseSamples,
  processLabel,
  processSamples,
  type ProcessKind,
} from '../control/metrics/from-status.ts';
import { MetricsInbox } from '../control/metrics/inbox.ts';
import type { MetricsReport, Sample } from '../control/metrics/sample.ts';
import type { StatusReport } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { ownVersion } from '../kernel/version.ts';
import type { Region } from '../topology/region.ts';

export interface PlatformMetrics {
  readonly report: (report: MetricsReport) => void;
  readonly expose: () => Promise<Exposition>;
}

export interface MeasuredPlatform {
  readonly engine: string;
  readonly survive: string;
  readonly startedAtMs: number;
  readonly regions: readonly Region[];
  /** App servers in each region; 0 without an application. */
  readonly appServersPerRegion: number;
  readonly processes: () => Pick<StatusReport, 'gateways' | 'appServers'>;
  /** Faults on purpose that are in force. */
  readonly faults: () => number;
  /** Asks the databases. */
  readonly status: () => Promise<Pick<StatusReport, 'nodes' | 'groups'>>;
}

const SHARED_MS = 1_000;
/** Half of what Prometheus waits for by default. */
const DATABASES_TIMEOUT_MS = 5_000;

type Source = 'databases' | 'processes';

export function platformMetrics(
  services: { readonly clock: Clock; readonly log: Log },
  platform: MeasuredPlatform,
): PlatformMetrics {
  const { clock, log } = services;
  const inbox = new MetricsInbox(clock, labelsOfProcesses(platform));
  const errors: Record<Source, number> = { databases: 0, processes: 0 };
  const databases = oneAtATime(clock, () => platform.status().then(databaseSamples));
  const processes = (): Sample[] => {
    const { gateways, appServers } = platform.processes();
    return [...processSamples('gateway', gateways), ...processSamples('app', appServers)];
  };
  const attempt = async (
    source: Source,
    read: () => readonly Sample[] | Promise<readonly Sample[]>,
  ): Promise<readonly Sample[]> => {
    try {
      return await read();
    } catch (error) {
      errors[source] += 1;
      log.warn('a scrape goes without one of its sources', { source, error: messageOf(error) });
      return [];
    }
  };
  const scrape = async (): Promise<Exposition> => {
    const found = await Promise.all([
      attempt('databases', databases),
      attempt('processes', processes),
    ]);
    return expose([...about(platform), ...failures(errors), ...found.flat(), ...inbox.samples()]);
  };
  let shared: { readonly atMs: number; readonly answer: Promise<Exposition> } | undefined;
  return {
    report: (report) => {
      inbox.accept(report);
    },
    expose: () => {
      const atMs = clock.monotonicMs();
      if (shared === undefined || atMs - shared.atMs >= SHARED_MS) {
        shared = { atMs, answer: scrape() };
      }
      return shared.answer;
    },
  };
}

/** Rejects with ERR_DEADLINE_EXCEEDED after a while; what was asked goes on, and is joined by the next. */
function oneAtATime<T>(clock: Clock, ask: () => Promise<T>): () => Promise<T> {
  let asking: Promise<T> | undefined;
  return () => {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    const answer = asking;
    return new Promise<T>((resolve, reject) => {
      const cancel = clock.schedule(DATABASES_TIMEOUT_MS, () => {
        reject(new MeridianError('ERR_DEADLINE_EXCEEDED', 'the databases were not asked in time'));
      });
      void answer.then(resolve, reject).finally(cancel);
    });
  };
}

function about({ engine, survive, startedAtMs, faults }: MeasuredPlatform): Sample[] {
  const labels = { version: ownVersion(), engine, survive };
  return [
    { name: 'meridian_platform_info', labels, value: 1 },
    { name: 'meridian_start_time_seconds', labels: {}, value: startedAtMs / 1_000 },
    { name: 'meridian_chaos_faults', labels: {}, value: faults() },
  ];
}

function failures(errors: Readonly<Record<Source, number>>): Sample[] {
  return Object.entries(errors).map(([source, value]) => ({
    ...{ name: 'meridian_scrape_errors_total', labels: { source } },
    value,
  }));
}

/** The processes that the supervisor starts, by the names they get. */
function labelsOfProcesses(
  platform: MeasuredPlatform,
): (process: string) => Readonly<Record<string, string>> | undefined {
  const all = new Map<string, Readonly<Record<string, string>>>();
  const add = (kind: ProcessKind, region: string, name: string): void => {
    const process = processLabel(kind, name);
    all.set(process, { process, kind, region });
  };
  for (const { name } of platform.regions) {
    add('gateway', name, name);
    for (let index = 0; index < platform.appServersPerRegion; index += 1) {
      add('app', name, `${name}.${String(index)}`);
    }
  }
  return (process) => all.get(process);
}
