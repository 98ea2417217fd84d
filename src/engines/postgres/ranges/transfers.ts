/**
 * The transfers of this engine: one at a time, beside the moves, whose turns they take for each thing that
 * they do. Stored before anything is done, and forgotten when they have ended; the next start goes on with
 * what an end of the engine has interrupted, once every range is prepared.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import type { RangeName } from '../../../topology/routing.ts';
import type { PerformOptions, WantedTransfer } from '../../engine.ts';
import type { ObservedTransfer } from '../../snapshot.ts';
import type { StoredTransfer, TransferGoal } from '../places.ts';
import { accountsIn } from './homes.ts';
import { checkResidencies } from './pinned.ts';
import { settledHomes } from './settled-homes.ts';
import { TransferRun, type TransferOn } from './transfer-run.ts';

const STOP_WAIT_MS = 300;
/** What is stored of one is written with each change of anything. */
export const ACCOUNTS_MAX = 20_000;
/** Those that wait for their turn are stored, too. */
const TRANSFERS_MAX = 64;

export class Transfers {
  readonly #on: TransferOn;
  readonly #runs = new Map<string, TransferRun>();
  readonly #running = new Map<string, Promise<void>>();
  #turn: Promise<unknown> = Promise.resolve();
  #lastNumber: number;
  #resumed = false;

  constructor(on: TransferOn) {
    this.#on = on;
    this.#lastNumber = Math.max(0, ...Object.keys(on.cluster.register.transfers).map(Number));
  }

  /** Resolves when the accounts are where they were to go. */
  async transfer(
    wanted: WantedTransfer,
    options: PerformOptions,
  ): Promise<'done' | 'already-done'> {
    const { cluster } = this.#on;
    if (this.#runs.size >= TRANSFERS_MAX) {
      throw refused(`${String(TRANSFERS_MAX)} transfers wait already`);
    }
    const stored = await this.#begin(wanted);
    if (stored === undefined) return 'already-done';
    // In one go with what is stored: whoever looks whether a group may go sees one or the other.
    const { goal } = stored;
    if (goal.kind === 'rehome' && cluster.register.draining.includes(goal.to)) {
      throw refused(`${goal.to} is to go: nothing is put there any more`);
    }
    const moving = rangesOf(goal).find((range) => cluster.register.moves[range] !== undefined);
    if (moving !== undefined) throw refused(`${moving} is being moved`);
    this.#lastNumber += 1;
    const number = String(this.#lastNumber);
    const run = new TransferRun(this.#on, number, stored);
    run.watch(options);
    // Before anybody else has a turn: what it needs is not moved away from now on.
    this.#runs.set(number, run);
    try {
      await cluster.register.keepTransfer(number, stored);
    } catch (error) {
      this.#runs.delete(number);
      throw error;
    }
    await this.#run(run);
    return 'done';
  }

  /** Resolves when it has ended: as far as it was not too late, the accounts are where they were. */
  async cancel(number: string): Promise<'done' | 'already-done'> {
    const run = this.#runs.get(number);
    if (run === undefined) return 'already-done';
    await run.cancel();
    for (const carrier of this.#on.cluster.register.transfers[number]?.carriers ?? []) {
      // It may not be on its way, or there already.
      await this.#on.moves.cancel(carrier).catch(() => {});
    }
    await this.#running.get(number)?.catch(() => {});
    return 'done';
  }

  /** Of an earlier life: they go on beside everything else, once there is everything that they need. */
  resume(): void {
    const { cluster, ranges } = this.#on;
    if (this.#resumed) return;
    const { register } = cluster;
    const declared = [...cluster.groups.keys()].flatMap((group) => register.declaredIn(group));
    // One that was named, and not made yet, is prepared like the others; nothing is in one of a group that goes.
    const made = register.made.filter((range) => cluster.groups.has(register.placeOf(range) ?? ''));
    if (![...declared, ...made].every((range) => ranges.has(range))) return;
    this.#resumed = true;
    for (const [number, stored] of Object.entries(register.transfers)) {
      if (this.#runs.has(number)) continue;
      const run = new TransferRun(this.#on, number, stored);
      this.#run(run).catch((error: unknown) => {
        if (cluster.stopping) return;
        cluster.services.log.error('a transfer has ended', { number, error });
      });
    }
  }

  get observed(): readonly ObservedTransfer[] {
    return [...this.#runs.values()].map((run) => run.observed);
  }

  /** One that is under way needs the range as it is. */
  running(range: RangeName): boolean {
    return [...this.#runs.values()].some((run) => run.uses(range));
  }

  /** One that is under way has named it, and makes it itself. */
  making(range: RangeName): boolean {
    return !this.#on.ranges.has(range) && this.running(range);
  }

  /** The engine has begun to stop: those that run notice, or the end of the servers tells them. */
  async ended(): Promise<void> {
    const { clock } = this.#on.cluster.services;
    await Promise.race([Promise.allSettled(this.#running.values()), clock.sleep(STOP_WAIT_MS)]);
  }

  async #run(run: TransferRun): Promise<void> {
    const { cluster } = this.#on;
    this.#runs.set(run.number, run);
    const running = this.#turn.then(() => run.run());
    this.#turn = running.catch(() => {});
    this.#running.set(run.number, running);
    try {
      await running;
    } finally {
      this.#running.delete(run.number);
      // Interrupted: the next life needs to know of it.
      if (!cluster.stopping) {
        this.#runs.delete(run.number);
        await cluster.register.endTransfer(run.number);
      }
    }
  }

  /** With the accounts that it is about; undefined when none has anywhere to go. */
  async #begin(wanted: WantedTransfer): Promise<StoredTransfer | undefined> {
    const { cluster } = this.#on;
    const { register } = cluster;
    if (wanted.kind === 'merge') {
      const { kind, from, into } = wanted;
      const accounts = await accountsIn(cluster, from);
      return { goal: { kind, from, into }, accounts, carriers: [] };
    }
    const accounts = [...new Set(wanted.accounts)].sort();
    if (accounts.length > ACCOUNTS_MAX) {
      throw refused(`at most ${String(ACCOUNTS_MAX)} accounts are transferred at a time`);
    }
    const homes = await settledHomes(cluster, accounts);
    const known = new Set([...homes.values()].flat());
    const unknown = accounts.filter((account) => !known.has(account));
    if (unknown.length > 0) {
      throw new MeridianError('ERR_ACCOUNT_NOT_FOUND', `there is no account ${unknown[0] ?? ''}`, {
        details: { unknown: unknown.length },
      });
    }
    if (wanted.kind === 'rehome') {
      const { kind, to, repin = false } = wanted;
      if (!repin) checkResidencies(cluster, homes, to);
      const all = [...homes.keys()].every((range) => register.placeOf(range) === to);
      const goal = { kind, to, ...(repin ? { repin } : {}) };
      return all ? undefined : { goal, accounts, carriers: [] };
    }
    const { kind, from } = wanted;
    const others = [...homes.keys()].filter((range) => range !== from);
    if (others.length > 0) {
      throw refused(
        `${homes.get(others[0] ?? '')?.[0] ?? ''} is in ${others[0] ?? ''}, not in ${from}`,
      );
    }
    return { goal: { kind, from }, accounts, carriers: [] };
  }
}

/** Which must stay where they are: accounts are carried within a group. */
function rangesOf(goal: TransferGoal): readonly RangeName[] {
  if (goal.kind === 'rehome') return [];
  return goal.kind === 'merge' ? [goal.from, goal.into] : [goal.from];
}

function refused(message: string): MeridianError {
  return new MeridianError('ERR_OPERATION_REFUSED', message);
}
