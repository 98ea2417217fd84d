/**
 * Runs one transfer: looks where its accounts are, decides (transfer-decision.ts), does that one act, and
 * looks again. Of what was done nothing is stored but the names of the ranges that were made for it: where
 * the accounts are says how far it is.
 *
 * What fails is tried again after a pause. What would fail again in the same way, or has failed too often,
 * turns it round: accounts that have not left their group go back to where they were, and the reason is told.
 */
import { isMeridianError, MeridianError, messageOf } from '../../../kernel/errors.ts';
import { backoffMs } from '../../../kernel/retry.ts';
import type { RangeName } from '../../../topology/routing.ts';
import type { PerformOptions } from '../../engine.ts';
import type { ObservedTransfer } from '../../snapshot.ts';
import type { Cluster } from '../cluster.ts';
import type { StoredTransfer } from '../places.ts';
import type { RangePlaces } from '../routes.ts';
import type { Carrying } from './carried-tables.ts';
import { carryAccounts } from './carrying.ts';
import { emptiestOf, rewriteHomes } from './homes.ts';
import { makeRange, removeMadeRange } from './made-range.ts';
import type { Moves } from './moves.ts';
import { checkResidencies } from './pinned.ts';
import { settledHomes } from './settled-homes.ts';
import { arrived, nextAct, type TransferAct, type TransferPicture } from './transfer-decision.ts';

/** About two minutes: longer than a failover, shorter than anybody's patience. */
const FAILURES_MAX = 40;
const BACKOFF = { baseMs: 100, maxMs: 3_000 };
/** A round trip to the farthest client, and the wait before it tries again. */
const REST_MS = 300;
/** Of copies of the directory, where nothing is wrong. */
const COPIES_LAG_MS = 5_000;

export interface TransferOn {
  readonly cluster: Cluster;
  readonly ranges: RangePlaces;
  readonly moves: Moves;
}

export class TransferRun {
  readonly number: string;
  readonly #on: TransferOn;
  #stored: StoredTransfer;
  /** Carriers that are certainly there. */
  readonly #made = new Set<RangeName>();
  readonly #kept = new Set<RangeName>();
  readonly #receiving = new Map<string, RangeName | undefined>();
  #failuresInRow = 0;
  #failure: MeridianError | undefined;
  #phase: TransferAct['kind'] | 'looking' = 'looking';
  #doneAccounts = 0;
  readonly #startedAtMs: number;
  #listener: Pick<PerformOptions, 'onPhase' | 'onProgress'> = {};

  constructor(on: TransferOn, number: string, stored: StoredTransfer) {
    this.#on = on;
    this.number = number;
    this.#stored = stored;
    this.#startedAtMs = on.cluster.services.clock.monotonicMs();
  }

  watch(listener: Pick<PerformOptions, 'onPhase' | 'onProgress'>): void {
    this.#listener = listener;
  }

  get observed(): ObservedTransfer {
    const { goal, accounts, carriers, cancelled = false } = this.#stored;
    return {
      ...{ number: this.number, kind: goal.kind, cancelled, phase: this.#phase },
      what:
        goal.kind === 'rehome'
          ? `to ${goal.to}`
          : `${goal.from} into ${goal.kind === 'merge' ? goal.into : (carriers[0] ?? 'a new range')}`,
      totalAccounts: accounts.length,
      doneAccounts: this.#doneAccounts,
      detail: this.#failure?.message.split('\n')[0] ?? '',
      sinceMs: Math.round(this.#on.cluster.services.clock.monotonicMs() - this.#startedAtMs),
    };
  }

  /** Whether this transfer needs the range to stay where, and what, it is. */
  uses(range: RangeName): boolean {
    const { goal, carriers } = this.#stored;
    if (carriers.includes(range)) return true;
    return (
      goal.kind !== 'rehome' &&
      (range === goal.from || (goal.kind === 'merge' && range === goal.into))
    );
  }

  /** Stored first: what is undone stays undone, whoever dies meanwhile. */
  async cancel(): Promise<void> {
    if (this.#stored.cancelled === true) return;
    this.#stored = { ...this.#stored, cancelled: true };
    await this.#store();
  }

  /** Rejects with the reason when the accounts are not where they were to go. */
  async run(): Promise<void> {
    const { cluster } = this.#on;
    const { clock, random, log, onPhase } = cluster.services;
    for (;;) {
      cluster.notStopping();
      try {
        const picture = await this.#look();
        const act = nextAct(picture);
        this.#phase = act.kind;
        this.#tell(picture);
        await onPhase?.('transfer', act.kind);
        // Called off since: what is left to be done is something else.
        if (picture.cancelled !== (this.#stored.cancelled === true)) continue;
        if (act.kind === 'end') break;
        await this.#do(act);
        this.#failuresInRow = 0;
      } catch (error) {
        cluster.notStopping();
        await this.#failed(asFailure(error));
        log.warn('accounts were not transferred yet', {
          ...{ number: this.number, phase: this.#phase, error: this.#failure?.message },
        });
        const waitMs = backoffMs(this.#failuresInRow, random, BACKOFF);
        await clock.sleep(waitMs, cluster.stopSignal).catch(() => {});
      }
    }
    if (this.#stored.goal.kind === 'rehome') this.#announce();
    if (this.#stored.cancelled === true) throw this.#reason();
  }

  async #look(): Promise<TransferPicture> {
    const { cluster } = this.#on;
    const { register } = cluster;
    const { goal, carriers, accounts, cancelled = false } = this.#stored;
    const homes = await settledHomes(cluster, accounts);
    // Others had their turn since it was asked for: some may have been pinned.
    if (goal.kind === 'rehome' && goal.repin !== true && !cancelled) {
      const leaving = [...homes].filter(([range]) => !carriers.includes(range));
      checkResidencies(cluster, new Map(leaving), goal.to);
    }
    const groupOf = (range: RangeName): string | undefined => register.placeOf(range);
    const groups = new Set(carriers.flatMap((carrier) => groupOf(carrier) ?? []));
    for (const group of groups) {
      // One and the same for all of them, unless it has gone to another group since.
      const known = this.#receiving.get(group);
      if (known !== undefined && groupOf(known) === group) continue;
      this.#receiving.set(group, await emptiestOf(cluster, register.declaredIn(group)));
    }
    return {
      ...{ goal, cancelled, carriers, groupOf, accounts: homes, kept: this.#kept },
      receiving: (group) => this.#receiving.get(group),
    };
  }

  #tell(picture: TransferPicture): void {
    this.#doneAccounts = arrived(picture);
    this.#listener.onPhase?.(this.#phase);
    this.#listener.onProgress?.({
      doneAccounts: this.#doneAccounts,
      totalAccounts: this.#stored.accounts.length,
    });
  }

  async #do(act: Exclude<TransferAct, { kind: 'end' }>): Promise<void> {
    const { cluster, moves } = this.#on;
    switch (act.kind) {
      case 'name-carrier':
        this.#stored = await cluster.register.nameCarrier(this.number, this.#stored, act.group);
        return;
      case 'carry':
        await moves.inTurn(() => this.#carry(act));
        await this.#rest();
        return;
      case 'move':
        await moves.arrive(act.range, act.to);
        return;
      case 'remove':
        await moves.inTurn(() => this.#remove(act.range));
    }
  }

  async #remove(range: RangeName): Promise<void> {
    try {
      await removeMadeRange(this.#on, range);
    } catch (error) {
      // It would be refused for ever, and whoever waits for this transfer would wait as long.
      const made = this.#stored.goal.kind !== 'merge';
      if (!made || !isMeridianError(error, 'ERR_OPERATION_REFUSED')) throw error;
      this.#keep(range, error);
    }
  }

  #keep(range: RangeName, { message: reason }: MeridianError): void {
    this.#kept.add(range);
    const { log } = this.#on.cluster.services;
    log.warn('a range that was made for a transfer stays', { range, reason });
  }

  /**
   * Whoever writes in the same range at the same time is refused, and comes again after a round trip. It must not
   * meet the next ones that are carried then, and those after them: a client far away would wait for all.
   */
  async #rest(): Promise<void> {
    const { stopSignal, services } = this.#on.cluster;
    await services.clock.sleep(REST_MS, stopSignal).catch(() => {});
  }

  async #carry(carrying: Carrying): Promise<void> {
    const { cluster, ranges } = this.#on;
    const { from, into, accounts } = carrying;
    const group = cluster.register.placeOf(from);
    const held = [from, into].find(
      (range) => cluster.migrating.has(range) || cluster.register.moves[range] !== undefined,
    );
    if (group === undefined || cluster.register.placeOf(into) !== group || held !== undefined) {
      throw new MeridianError(
        'ERR_ENGINE_UNAVAILABLE',
        `${held ?? from} is being migrated or moved: its accounts wait for that`,
      );
    }
    const of = cluster.group(group);
    if (!of.open || !cluster.reaches(of.leader)) {
      throw new MeridianError('ERR_ENGINE_UNAVAILABLE', `${group} is not open`);
    }
    if (this.#stored.carriers.includes(into) && !this.#made.has(into)) {
      await makeRange(this.#on, into, { group, like: from });
      this.#made.add(into);
    }
    try {
      const { epoch, origins } = await carryAccounts(cluster, of, carrying);
      const told = ranges.get(into);
      const next = {
        group,
        epoch,
        origins: origins === '' ? undefined : origins,
        made: told?.made,
      };
      if (told?.epoch !== epoch || told.origins !== next.origins) {
        ranges.set(into, next);
        cluster.services.onRoutes();
      }
    } catch (error) {
      // Beside others they cannot be: the range that carried them stays, as it is.
      const kept = this.#stored.goal.kind === 'rehome' && this.#stored.carriers.includes(from);
      if (!kept || !isMeridianError(error, 'ERR_OPERATION_REFUSED')) throw error;
      this.#keep(from, error);
      return;
    }
    await rewriteHomes(cluster, { from, into, accounts });
  }

  async #failed(failure: MeridianError): Promise<void> {
    this.#failure = failure;
    this.#failuresInRow += 1;
    const hopeless =
      failure.code === 'ERR_OPERATION_REFUSED' || failure.code === 'ERR_RANGE_DIFFERS';
    if (hopeless || this.#failuresInRow >= FAILURES_MAX) await this.cancel().catch(() => {});
  }

  /**
   * Whoever has looked them up before looks again; and once more when every copy of the directory, replicas
   * included, says so for certain: they follow within their lag, which nobody waits for.
   */
  #announce(): void {
    const { cluster } = this.#on;
    const { clock, onRoutes } = cluster.services;
    const tell = (): void => {
      if (cluster.stopping) return;
      cluster.directory = Math.max(cluster.directory + 1, clock.now());
      onRoutes();
    };
    tell();
    clock.sleep(COPIES_LAG_MS, cluster.stopSignal).then(tell, () => {});
  }

  #reason(): MeridianError {
    const { message, remedy } = this.#failure ?? {};
    const about = this.observed;
    if (message === undefined) {
      return new MeridianError(
        'ERR_ABORTED',
        `cancelled: ${String(about.doneAccounts)} of ${String(about.totalAccounts)} accounts had arrived and stay, the others are where they were`,
      );
    }
    return new MeridianError(
      'ERR_OPERATION_REFUSED',
      `${String(about.doneAccounts)} of ${String(about.totalAccounts)} accounts have arrived (${about.what}), the others are where they were: ${message}`,
      { cause: this.#failure, ...(remedy === undefined ? {} : { remedy }) },
    );
  }

  #store(): Promise<void> {
    return this.#on.cluster.register.keepTransfer(this.number, this.#stored);
  }
}

function asFailure(error: unknown): MeridianError {
  if (isMeridianError(error)) return error;
  return new MeridianError('ERR_INTERNAL', messageOf(error), { cause: error });
}
