/**
 * The latest report of each process. Bounded: only processes that the supervisor started are kept, so
 * that labels name what is declared, a few instances each; one that falls silent is forgotten.
 *
 * What an instance has counted outlives it while its process has another one, so that a restart or a
 * closed client does not take counts back; once all are silent, the process is gone, and begins again
 * at 0 with its next report.
 */
import type { Clock } from '../../kernel/clock.ts';
import type { MetricsReport, Sample } from './sample.ts';
import { METRICS } from './table.ts';

const SILENT_MS = 20_000;
const INSTANCES_MAX = 8;

type Labels = Readonly<Record<string, string>>;

interface Instance {
  readonly at: number;
  readonly samples: readonly Sample[];
}

interface Process {
  readonly labels: Labels;
  readonly instances: Map<string, Instance>;
  /** Counters of instances that ended; the table bounds how many there can be. */
  ended: readonly Sample[];
}

export class MetricsInbox {
  readonly #clock: Clock;
  readonly #labelsOf: (process: string) => Labels | undefined;
  readonly #processes = new Map<string, Process>();

  /** `labelsOf`: what each sample of the process is labelled with; undefined for a stranger. */
  constructor(clock: Clock, labelsOf: (process: string) => Labels | undefined) {
    this.#clock = clock;
    this.#labelsOf = labelsOf;
  }

  accept(report: MetricsReport): void {
    const labels = this.#labelsOf(report.process);
    if (labels === undefined) return;
    this.#forget();
    const process = this.#processes.get(report.process) ?? {
      labels,
      instances: new Map<string, Instance>(),
      ended: [],
    };
    const { instances } = process;
    if (!instances.has(report.instance) && instances.size >= INSTANCES_MAX) return;
    instances.set(report.instance, { at: this.#clock.monotonicMs(), samples: report.samples });
    this.#processes.set(report.process, process);
  }

  /** Instances of one process are added up. */
  samples(): Sample[] {
    this.#forget();
    return [...this.#processes.values()].flatMap(({ labels, instances, ended }) =>
      addedUp([...ended, ...[...instances.values()].flatMap(({ samples }) => samples)]).map(
        (sample) => ({ ...sample, labels: { ...labels, ...sample.labels } }),
      ),
    );
  }

  #forget(): void {
    const oldest = this.#clock.monotonicMs() - SILENT_MS;
    for (const [name, process] of this.#processes) {
      for (const [key, { at, samples }] of process.instances) {
        if (at >= oldest) continue;
        process.instances.delete(key);
        const counted = samples.filter((sample) => METRICS[sample.name].type === 'counter');
        process.ended = addedUp([...process.ended, ...counted]);
      }
      if (process.instances.size === 0) this.#processes.delete(name);
    }
  }
}

function addedUp(samples: readonly Sample[]): Sample[] {
  const sums = new Map<string, Sample>();
  for (const { name, labels, value } of samples) {
    const key = `${name} ${JSON.stringify(Object.entries(labels).toSorted())}`;
    sums.set(key, { name, labels, value: (sums.get(key)?.value ?? 0) + value });
  }
  return [...sums.values()];
}
