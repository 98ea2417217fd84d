/**
 * The results of kills: one line for each batch, written once its rows were read back, and a summary of
 * all lines. The lines are the truth: whoever goes on later counts them.
 */
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Versions } from '../cluster/versions.ts';
import { RESULTS } from '../cluster/results-folder.ts';
import { spreadOf, type Spread } from '../cluster/figures.ts';
import type { Finding } from './books.ts';
import type { KillsOptions } from './options.ts';

export interface Batch {
  readonly endedAt: string;
  readonly versions: Versions;
  readonly seed: number;
  readonly scale: number;
  readonly seconds: number;
  /** Leaders killed, by the way in which. */
  readonly kinds: Readonly<Record<string, number>>;
  /** From each kill until the group was open again, in ms. */
  readonly inPlaceMs: readonly number[];
  readonly failoverMs: readonly number[];
  readonly othersKilled: number;
  /** As the platform counts changes of leaders and restarts. */
  readonly causes: Readonly<Record<string, number>>;
  readonly epochs: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly unknownApplied: number;
  readonly refused: number;
  readonly codes: Readonly<Record<string, number>>;
  /** Looked for on the leaders; each row twice. */
  readonly rowsCompared: number;
  readonly findings: readonly Finding[];
}

export interface Summary {
  readonly layout: string;
  readonly kills: number;
  readonly lost: number;
  readonly uninvited: number;
  readonly acknowledged: number;
  readonly unknown: { readonly outcomes: number; readonly applied: number };
  readonly refused: number;
  readonly rowsCompared: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly othersKilled: number;
  /** Until the group was open again, in ms. */
  readonly inPlace: Spread | undefined;
  readonly failovers: Spread | undefined;
  readonly causes: Readonly<Record<string, number>>;
  /** Groups' epochs, added up over the clusters that were used. */
  readonly epochsRisen: number;
  readonly secondsPerKill: number;
  readonly seeds: readonly number[];
  readonly scales: readonly number[];
  readonly versions: readonly Versions[];
  readonly from: string;
  readonly until: string;
}

export class Results {
  readonly #name: string;
  readonly #layout: string;
  readonly batches: Batch[];

  private constructor(name: string, layout: string, batches: Batch[]) {
    this.#name = name;
    this.#layout = layout;
    this.batches = batches;
  }

  static async open({ layout }: Pick<KillsOptions, 'layout'>): Promise<Results> {
    await mkdir(RESULTS, { recursive: true });
    const name = join(RESULTS, `kills-${layout}`);
    const text = await readFile(`${name}.jsonl`, 'utf8').catch(() => '');
    const lines = text.split('\n');
    // The last one may have been cut by the end of the process that wrote it.
    if (lines.pop() !== '') await writeFile(`${name}.jsonl`, lines.map((l) => `${l}\n`).join(''));
    return new Results(
      name,
      layout,
      lines.map((line) => JSON.parse(line) as Batch),
    );
  }

  get kills(): number {
    return this.batches.reduce((total, batch) => total + killsOf(batch), 0);
  }

  async add(batch: Batch): Promise<void> {
    await appendFile(`${this.#name}.jsonl`, `${JSON.stringify(batch)}\n`);
    this.batches.push(batch);
    const text = `${JSON.stringify(summarize(this.#layout, this.batches), undefined, 2)}\n`;
    await writeFile(`${this.#name}.json.partial`, text);
    await rename(`${this.#name}.json.partial`, `${this.#name}.json`);
  }
}

export function killsOf({ inPlaceMs, failoverMs }: Batch): number {
  return inPlaceMs.length + failoverMs.length;
}

export function summarize(layout: string, batches: readonly Batch[]): Summary {
  const sum = (of: (batch: Batch) => number): number =>
    batches.reduce((total, batch) => total + of(batch), 0);
  const found = (kind: Finding['kind']): number =>
    sum(({ findings }) => findings.filter((finding) => finding.kind === kind).length);
  const kills = sum(killsOf);
  return {
    ...{ layout, kills, lost: found('lost'), uninvited: found('uninvited') },
    acknowledged: sum((batch) => batch.acknowledged),
    unknown: {
      outcomes: sum((batch) => batch.unknown),
      applied: sum((batch) => batch.unknownApplied),
    },
    refused: sum((batch) => batch.refused),
    rowsCompared: sum((batch) => batch.rowsCompared),
    kinds: added(batches.map((batch) => batch.kinds)),
    othersKilled: sum((batch) => batch.othersKilled),
    inPlace: spreadOf(batches.flatMap((batch) => batch.inPlaceMs)),
    failovers: spreadOf(batches.flatMap((batch) => batch.failoverMs)),
    causes: added(batches.map((batch) => batch.causes)),
    epochsRisen: sum(({ epochs }) => Object.values(epochs).reduce((all, one) => all + one, 0)),
    secondsPerKill: Math.round((10 * sum((batch) => batch.seconds)) / Math.max(1, kills)) / 10,
    seeds: distinct(batches.map((batch) => batch.seed)),
    scales: distinct(batches.map((batch) => batch.scale)),
    versions: distinct(batches.map((batch) => batch.versions)),
    from: batches[0]?.endedAt ?? '',
    until: batches.at(-1)?.endedAt ?? '',
  };
}

function added(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const each of counts) {
    for (const [name, value] of Object.entries(each)) total[name] = (total[name] ?? 0) + value;
  }
  return total;
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
