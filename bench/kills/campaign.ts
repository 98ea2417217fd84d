/** One cluster, killed batch by batch until it is enough, or something is wrong. */
import { join } from 'node:path';
import { systemClock } from '../../src/kernel/clock.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { serversOf } from '../../src/verify/servers.ts';
import { streamOf } from '../../src/verify/seed.ts';
import { removeFolder, startBenchCluster, type BenchCluster } from '../cluster/start.ts';
import { quantile } from '../cluster/figures.ts';
import { Groups, NotRecovered } from '../cluster/groups.ts';
import { versionsOf, type Versions } from '../cluster/versions.ts';
import { Books, type Finding } from './books.ts';
import { Killing, type Kill } from './killing.ts';
import { Deck, leadersKilledBy } from './moves.ts';
import type { KillsOptions } from './options.ts';
import { readBack } from './reading.ts';
import { killsOf, type Batch, type Results } from './results.ts';
import { openAccounts, Writers, type Account } from './writers.ts';

/** Where no result is kept, and git ignores it: in one place, so that what was left there is ended. */
const FOLDER = join(import.meta.dirname, '..', '..', '..', '.meridian');

/** Told at once: somebody may want to look at the logs. */
const SLOW_MS = 8_000;

interface Running {
  readonly cluster: BenchCluster;
  readonly versions: Versions;
  readonly accounts: readonly Account[];
  readonly books: Books;
  readonly writers: Writers;
  readonly lanes: readonly { readonly killing: Killing; readonly deck: Deck }[];
  causes: Readonly<Record<string, number>>;
  epochs: Readonly<Record<string, number>>;
}

export class Campaign {
  readonly #options: KillsOptions;
  readonly #results: Results;
  readonly #say: (line: string) => void;

  constructor(options: KillsOptions, results: Results, say: (line: string) => void) {
    this.#options = options;
    this.#results = results;
    this.#say = say;
  }

  /** What is wrong; nothing, when it was enough or the signal ended it. */
  async run(signal: AbortSignal): Promise<readonly string[]> {
    const { layout, scale } = this.#options;
    const folder = join(FOLDER, `kills-${layout}`);
    const failures: string[] = [];
    {
      await using cluster = await startBenchCluster({
        ...{ layout, scale, folder, signal },
        onProgress: this.#say,
      });
      void cluster.platform.failed.then((error) => {
        failures.push(`the platform cannot go on: ${error.message}`);
      });
      const running = await this.#begin(cluster);
      while (failures.length === 0 && !signal.aborted) {
        if (this.#results.kills >= this.#options.kills) break;
        failures.push(...(await this.#batch(running, signal)));
      }
    }
    if (failures.length === 0) await removeFolder(folder);
    else this.#say(`data and logs are kept in ${folder}`);
    return failures;
  }

  async #begin(cluster: BenchCluster): Promise<Running> {
    const { platform, config } = cluster;
    const servers = await serversOf(platform, config.dataDirectory);
    const accounts = await openAccounts(cluster);
    const books = new Books(accounts.map(({ id, group }) => ({ account: id, group })));
    // Who goes on draws other moments than whoever began.
    const seed = this.#options.seed + this.#results.kills;
    const groups = new Groups(cluster);
    const [first = ''] = groups.names;
    const status = await platform.status();
    return {
      ...{ cluster, accounts, books, causes: causesOf(status), epochs: epochsOf(status) },
      versions: await versionsOf(servers, (await groups.open(first)).leader),
      writers: new Writers(cluster, { books, accounts, seed }),
      lanes: groups.names.map((name) => ({
        killing: new Killing(platform, groups, name),
        deck: new Deck(streamOf(seed, name)),
      })),
    };
  }

  async #batch(running: Running, signal: AbortSignal): Promise<readonly string[]> {
    const { writers, cluster, books, accounts, lanes } = running;
    const startedMs = performance.now();
    writers.begin();
    const kills: Kill[] = [];
    const stuck: string[] = [];
    await this.#kill(running, { kills, stuck, signal });
    const counts = await writers.pause();
    if (stuck.length > 0) return stuck;
    const read = await readBack(cluster.observer, books, accounts);
    const status = await cluster.platform.status();
    const batch: Batch = {
      endedAt: new Date(systemClock.now()).toISOString(),
      ...{ versions: running.versions, seed: this.#options.seed, scale: this.#options.scale },
      seconds: Math.round(performance.now() - startedMs) / 1_000,
      kinds: countsOf(kills.map(({ kind }) => kind)),
      inPlaceMs: kills.filter((kill) => kill.inPlace).map((kill) => kill.reopenedMs),
      failoverMs: kills.filter((kill) => !kill.inPlace).map((kill) => kill.reopenedMs),
      othersKilled: lanes.reduce((sum, { killing }) => sum + killing.takeOthers(), 0),
      causes: risen(running.causes, causesOf(status)),
      epochs: risen(running.epochs, epochsOf(status)),
      acknowledged: counts.acknowledged,
      ...{ unknown: counts.unknown, unknownApplied: read.doubtsApplied },
      ...{ refused: counts.refused, codes: counts.codes },
      ...{ rowsCompared: read.compared, findings: read.findings },
    };
    running.causes = causesOf(status);
    running.epochs = epochsOf(status);
    await this.#results.add(batch);
    this.#say(lineOf(batch, this.#results.kills));
    return read.findings.map((finding) => told(finding, kills));
  }

  /** All lanes, until the batch is full; then every group is whole. */
  async #kill(
    { lanes }: Running,
    batch: {
      readonly kills: Kill[];
      readonly stuck: string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { kills, stuck, signal } = batch;
    const wanted = Math.min(this.#options.every, this.#options.kills - this.#results.kills);
    let begun = 0;
    await Promise.all(
      lanes.map(async ({ killing, deck }) => {
        try {
          while (begun < wanted && !signal.aborted && stuck.length === 0) {
            const move = deck.draw();
            begun += leadersKilledBy(move.kind);
            const done = await killing.play(move);
            kills.push(...done);
            for (const kill of done) if (kill.reopenedMs > SLOW_MS) this.#say(slow(kill));
          }
          await killing.whole();
        } catch (error) {
          if (!(error instanceof NotRecovered)) throw error;
          stuck.push(error.message);
        }
      }),
    );
  }
}

/** With the kill that followed its acknowledgement. */
function told(
  { kind, account, group, id, acknowledgedAtMs }: Finding,
  kills: readonly Kill[],
): string {
  const what = `row ${id} of ${account} (${group}) is ${kind}`;
  if (acknowledgedAtMs === null) return what;
  const own = kills.filter((kill) => kill.group === group);
  const next = own.find(({ atMs }) => atMs >= acknowledgedAtMs) ?? own[0];
  if (next === undefined) return `${what}; no kill followed`;
  const ms = Math.round(next.atMs - acknowledgedAtMs);
  return `${what}; acknowledged ${String(ms)} ms before the kill of ${next.node} (${next.kind})`;
}

function slow({ group, node, kind, inPlace, reopenedMs }: Kill): string {
  const how = inPlace ? 'in place' : 'under another';
  return `${group}: ${kind} of ${node}: open again ${how} after ${(reopenedMs / 1_000).toFixed(1)} s`;
}

function lineOf(batch: Batch, total: number): string {
  const worst = quantile([...batch.inPlaceMs, ...batch.failoverMs], 1) ?? 0;
  const perKill = batch.seconds / Math.max(1, killsOf(batch));
  return [
    `${String(total)} kills`,
    `${String(batch.inPlaceMs.length)} in place and ${String(batch.failoverMs.length)} failovers in ${batch.seconds.toFixed(0)} s (${perKill.toFixed(1)} s each)`,
    `slowest ${(worst / 1_000).toFixed(1)} s`,
    `${String(batch.acknowledged)} acknowledged, ${String(batch.unknown)} unknown, ${String(batch.refused)} refused`,
    `${String(batch.findings.length)} lost or uninvited`,
  ].join('; ');
}

function causesOf({ groups }: StatusReport): Record<string, number> {
  const causes: Record<string, number> = {};
  for (const { leaderChanges } of groups) {
    for (const [cause, times] of Object.entries(leaderChanges)) {
      causes[cause] = (causes[cause] ?? 0) + times;
    }
  }
  return causes;
}

function epochsOf({ groups }: StatusReport): Record<string, number> {
  return Object.fromEntries(groups.map(({ name, epoch }) => [name, epoch]));
}

function risen(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now).map(([name, value]) => [name, value - (before[name] ?? 0)]),
  );
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
