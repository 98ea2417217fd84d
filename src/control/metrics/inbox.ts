/**
 * The latest report of each process. Bounded: only processes that the supervisor started are kept, so
 * that labels name what is declared, a few instances each; one that falls silent is forgotten, and its
 * counters begin again at its next report, as counters do when a process restarts.
 */
import type { Clock } from '../../kernel/clock.ts';
import type { MetricsReport, Sample } from './sample.ts';

const SILENT_MS = 20_000;
const INSTANCES_MAX = 8;

interface Kept {
  readonly at: number;
  readonly samples: readonly Sample[];
}

export class MetricsInbox {
  readonly #clock: Clock;
  readonly #isKnown: (process: string) => boolean;
  readonly #reports = new Map<string, Map<string, Kept>>();

  constructor(clock: Clock, isKnown: (process: string) => boolean) {
    this.#clock = clock;
    this.#isKnown = isKnown;
  }

  accept(report: MetricsReport): void {
    if (!this.#isKnown(report.process)) return;
    this.#forget();
    const instances = this.#reports.get(report.process) ?? new Map<string, Kept>();
    this.#reports.set(report.process, instances);
    if (!instances.has(report.instance) && instances.size >= INSTANCES_MAX) return;
    instances.set(report.instance, { at: this.#clock.monotonicMs(), samples: report.samples });
  }

  /** With the label `process`; instances of one process are added up. */
  samples(): Sample[] {
    this.#forget();
    return [...this.#reports].flatMap(([process, instances]) => {
      const sums = new Map<string, Sample>();
      for (const { samples } of instances.values()) {
        for (const { name, labels, value } of samples) {
          const key = `${name} ${JSON.stringify(Object.entries(labels).toSorted())}`;
          const sum = (sums.get(key)?.value ?? 0) + value;
          sums.set(key, { name, labels: { process, ...labels }, value: sum });
        }
      }
      return [...sums.values()];
    });
  }

  #forget(): void {
    const oldest = this.#clock.monotonicMs() - SILENT_MS;
    for (const [process, instances] of this.#reports) {
      for (const [instance, { at }] of instances) if (at < oldest) instances.delete(instance);
      if (instances.size === 0) this.#reports.delete(process);
    }
  }
}
