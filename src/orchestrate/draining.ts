/**
 * Takes everything out of a region that is to be left: no new accounts, then those that are there to wherever they
 * are nearest to their clients, by the operations that a person would ask for, until nothing is there any more.
 *
 * What is to be drained is stored by the engine before anything is done, so that the next start goes on. It is
 * tried again for as long as that takes; whoever asked hears of it when the same thing stays in the way.
 */
import type { OperationEvent, OperationOptions } from '../control/operation.ts';
import type { DrainStatus } from '../control/status.ts';
import type { DesiredState, Engine, Wanted } from '../engines/engine.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { distancesBetween, type Distances } from '../placement/preference.ts';
import type { LatencyMatrix, Region, RegionName } from '../topology/region.ts';
import { residencyOf, type ResidencyName } from '../topology/residency.ts';
import { emptyGroups, type EmptyingParts } from './emptying.ts';

export interface DrainingParts extends EmptyingParts {
  readonly engine: EmptyingParts['engine'] &
    Pick<Engine, 'observe' | 'planWanted' | 'perform' | 'rangeFacts'>;
  readonly desired: DesiredState;
  readonly regions: readonly Region[];
  readonly latency: LatencyMatrix;
  readonly clock: Clock;
  readonly log: Log;
}

const WAIT_MS = 1_000;
const WAIT_MAX_MS = 15_000;
/** In a row, before whoever waits is told that it does not go on. */
const FAILURES_TOLD = 5;

interface Drain {
  readonly region: RegionName;
  readonly groups: readonly string[];
  readonly stop: AbortController;
  readonly listeners: Set<Listener>;
  totalAccounts: number;
  doneAccounts: number;
  drained: boolean;
  /** Drained, or called off. */
  ended: boolean;
  note: string;
  running: Promise<void>;
}

interface Listener {
  readonly onProgress: () => void;
  readonly onFailure: (error: MeridianError) => void;
}

export class Draining {
  readonly #parts: DrainingParts;
  readonly #names: readonly RegionName[];
  readonly #distances: Distances;
  readonly #drains = new Map<RegionName, Drain>();
  #closed = false;

  constructor(parts: DrainingParts) {
    this.#parts = parts;
    this.#names = parts.regions.map(({ name }) => name);
    this.#distances = distancesBetween(parts.regions, parts.latency);
  }

  /** Goes on with what an earlier life has begun. */
  async resume(): Promise<void> {
    const { groups } = await this.#parts.engine.observe({});
    const begun = this.#names.filter((region) =>
      this.#groupsOf(region).some((group) => groups[group]?.draining !== undefined),
    );
    for (const region of begun) this.#begin(region);
  }

  /** Nothing may be put there. */
  isDraining(region: RegionName): boolean {
    return this.#drains.has(region);
  }

  get status(): readonly DrainStatus[] {
    return [...this.#drains.values()].map(
      ({ region, totalAccounts, doneAccounts, drained, note }) => ({
        ...{ region, totalAccounts, doneAccounts, note },
        state: drained ? 'drained' : 'draining',
      }),
    );
  }

  /**
   * Resolves when nothing is in the region any more. Whoever asked may leave: it goes on.
   *
   * @throws ERR_CONTROL_REQUEST for an unknown region, ERR_OPERATION_REFUSED for one that has to stay, and what
   *   has been in the way several times in a row; it is tried again all the same
   */
  async drain(region: RegionName, { signal, onEvent }: OperationOptions = {}): Promise<void> {
    await this.#check(region);
    const { clock } = this.#parts;
    const startMs = clock.monotonicMs();
    const summary = `drain ${region}`;
    onEvent?.({ kind: 'begun', summary });
    const known = this.#drains.get(region);
    // One that was called off, and whose restoring failed, begins anew.
    const goesOn = known !== undefined && (known.drained || !known.ended);
    const drain = goesOn ? known : this.#begin(region);
    let settle: () => void = () => {};
    let fail: (error: MeridianError) => void = () => {};
    const ended = new Promise<void>((resolve, reject) => {
      [settle, fail] = [resolve, reject];
    });
    const listener: Listener = {
      onProgress: () => {
        onEvent?.(progressOf(drain, summary));
      },
      onFailure: fail,
    };
    const leave = (): void => {
      fail(new MeridianError('ERR_ABORTED', `${region} goes on being drained`));
    };
    drain.listeners.add(listener);
    if (signal?.aborted === true) leave();
    else signal?.addEventListener('abort', leave, { once: true });
    try {
      await Promise.race([ended, drain.running]);
      settle();
    } finally {
      drain.listeners.delete(listener);
      signal?.removeEventListener('abort', leave);
    }
    if (!drain.drained) {
      throw new MeridianError('ERR_ABORTED', `${region} is not drained: it was called off`);
    }
    onEvent?.({ kind: 'ended', summary, tookMs: Math.round(clock.monotonicMs() - startMs) });
  }

  /** Accounts that have gone stay where they are. Waits for those that are on their way. */
  async restore(region: RegionName, { onEvent }: OperationOptions = {}): Promise<void> {
    this.#known(region);
    const { clock } = this.#parts;
    const startMs = clock.monotonicMs();
    const summary = `${region} takes accounts again`;
    onEvent?.({ kind: 'begun', summary });
    const drain = this.#drains.get(region);
    drain?.stop.abort();
    await drain?.running;
    await this.#perform({ restore: this.#groupsOf(region) });
    this.#drains.delete(region);
    onEvent?.({ kind: 'ended', summary, tookMs: Math.round(clock.monotonicMs() - startMs) });
  }

  /** Begins nothing more; the operation under way is the operations' to interrupt. */
  close(): void {
    this.#closed = true;
    for (const { stop } of this.#drains.values()) stop.abort();
  }

  #groupsOf(region: RegionName): string[] {
    const { groups } = this.#parts.desired;
    return groups.filter(({ homeRegion }) => homeRegion === region).map(({ name }) => name);
  }

  #known(region: RegionName): void {
    if (this.#names.includes(region)) return;
    const message = `there is no region ${JSON.stringify(region)}; there are ${this.#names.join(', ')}`;
    throw new MeridianError('ERR_CONTROL_REQUEST', message);
  }

  async #check(region: RegionName): Promise<void> {
    this.#known(region);
    const { engine } = this.#parts;
    if (engine.accountsInGroups === undefined) {
      throw new MeridianError('ERR_ENGINE_UNSUPPORTED', 'this engine places accounts itself');
    }
    // Refused before anything is begun.
    engine.planWanted({ drain: this.#groupsOf(region) }, await engine.observe({}));
  }

  #begin(region: RegionName): Drain {
    const drain: Drain = {
      ...{ region, groups: this.#groupsOf(region), totalAccounts: 0, doneAccounts: 0 },
      ...{ stop: new AbortController(), listeners: new Set(), note: '' },
      ...{ drained: false, ended: false, running: Promise.resolve() },
    };
    this.#drains.set(region, drain);
    drain.running = this.#run(drain).finally(() => {
      drain.ended = true;
    });
    return drain;
  }

  /** Never rejects. */
  async #run(drain: Drain): Promise<void> {
    const { clock, log } = this.#parts;
    const { region, groups, stop } = drain;
    log.info('a region is being drained', { region });
    let failures = 0;
    while (!stop.signal.aborted && !drain.drained) {
      try {
        // Again after a failure: the primary may have lost what was said to it.
        await this.#perform({ drain: groups });
        await this.#emptied(drain, () => {
          failures = 0;
        });
        if (stop.signal.aborted) return;
        await this.#perform({ retire: groups });
        drain.drained = true;
        drain.note = '';
        log.info('a region is drained', { region });
      } catch (error) {
        if (this.#closed) return;
        failures += 1;
        drain.note = messageOf(error);
        log.warn('a region is not drained yet', { region, error: drain.note });
        if (failures >= FAILURES_TOLD) {
          for (const { onFailure } of drain.listeners) onFailure(asFailure(error));
        }
        const waitMs = Math.min(WAIT_MS * failures, WAIT_MAX_MS);
        await clock.sleep(waitMs, stop.signal).catch(() => {});
      }
    }
  }

  /** Until no account is there, and no range of another group. */
  async #emptied(drain: Drain, onGone: () => void): Promise<void> {
    const { engine } = this.#parts;
    await this.#sendHome(drain);
    const facts = (await engine.rangeFacts?.()) ?? [];
    const there = facts
      .filter(({ group }) => drain.groups.includes(group))
      .reduce((all, { accounts }) => all + accounts, 0);
    drain.totalAccounts = drain.doneAccounts + there;
    const groups = this.#parts.desired.groups.filter(({ name }) => drain.groups.includes(name));
    const from = this.#names.indexOf(drain.region);
    // What is pinned stays within its regions.
    for (const residency of new Set(groups.map(residencyOf))) {
      const names = groups.filter((group) => residencyOf(group) === residency);
      let done = drain.doneAccounts;
      await emptyGroups(this.#parts, {
        ...{ residency, names: this.#names, signal: drain.stop.signal },
        groups: names.map(({ name }) => name),
        leaving: { from, allowed: this.#allowed(residency), distances: this.#distances },
        onArrived: (accounts, ended) => {
          drain.doneAccounts = done + accounts;
          if (ended) {
            done = drain.doneAccounts;
            onGone();
          }
          for (const { onProgress } of drain.listeners) onProgress();
        },
      });
    }
  }

  /** Regions that take accounts of a residency, or of none. */
  #allowed(residency: ResidencyName | null): ReadonlySet<number> {
    const homes = new Set(
      this.#parts.desired.groups.flatMap((group) =>
        residencyOf(group) === residency ? group.homeRegion : [],
      ),
    );
    return new Set(
      this.#names.flatMap((name, index) =>
        this.#drains.has(name) || !homes.has(name) ? [] : [index],
      ),
    );
  }

  /** Ranges that are declared elsewhere and were moved here go back as they are. */
  async #sendHome({ groups }: Drain): Promise<void> {
    const { engine, desired, operate } = this.#parts;
    const { ranges } = await engine.observe({});
    for (const { name, group } of desired.ranges) {
      if (groups.includes(group) || !groups.includes(ranges[name]?.group ?? '')) continue;
      // Nothing is put there any more: its accounts go like any others.
      const home = desired.groups.find((one) => one.name === group)?.homeRegion ?? '';
      if (this.isDraining(home)) continue;
      await operate({ kind: 'move', range: name, to: group });
    }
  }

  async #perform(wanted: Wanted): Promise<void> {
    const { engine, desired } = this.#parts;
    for (const step of engine.planWanted(wanted, await engine.observe({}))) {
      await engine.perform(step, desired);
    }
  }
}

function progressOf({ doneAccounts, totalAccounts }: Drain, what: string): OperationEvent {
  return { kind: 'progress', what, doneAccounts, totalAccounts };
}

function asFailure(error: unknown): MeridianError {
  return isMeridianError(error) ? error : new MeridianError('ERR_INTERNAL', messageOf(error));
}
