/**
 * Automatic re-homing on the running cluster: takes what gateways and libraries have counted, decides once an
 * interval (src/placement, pure), tells it, and, where it is asked to, has it done by the same operation that a
 * person would ask for.
 *
 * It does nothing while a group is closed or a gateway is not well: a region that is cut off looks as if it had
 * been left (docs/decisions/0022). When an account was moved is written down before it is moved.
 */
import { rm } from 'node:fs/promises';
import type { AccountExplanation, RehomingStatus } from '../control/placement.ts';
import type { StatusReport } from '../control/status.ts';
import type { TrafficReport } from '../control/traffic/report.ts';
import type { AccountFacts, Engine } from '../engines/engine.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { explainHome } from '../placement/explain.ts';
import type { RehomingOptions } from '../placement/rehoming-mode.ts';
import { planRehoming, type Move } from '../placement/rehoming-plan.ts';
import type { AccountFacts as PlacedAccount } from '../placement/rehoming.ts';
import { distancesBetween, type Distances } from '../placement/preference.ts';
import type { GroupSpec } from '../topology/node.ts';
import type { LatencyMatrix, Region } from '../topology/region.ts';
import { residencyOf, type ResidencyName } from '../topology/residency.ts';
import type { TrafficByHome } from '../topology/declared.ts';
import type { AccountId } from '../topology/routing.ts';
import { Balancing } from './balancing.ts';
import { AccountTraffic, type Remembered } from './account-traffic.ts';
import { goingTogether } from './going-together.ts';
import type { SingleOperation } from './operation-plan.ts';

export interface RehomingParts {
  readonly engine: Pick<Engine, 'accountFacts' | 'rangeFacts'>;
  readonly groups: readonly GroupSpec[];
  readonly regions: readonly Region[];
  readonly latency: LatencyMatrix;
  readonly options: RehomingOptions;
  /** Where traffic is kept. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly status: () => Promise<StatusReport>;
  /** A region that is to be left: its accounts are taken out by others, and nothing is put there. */
  readonly isDraining: (region: string) => boolean;
  readonly operate: (request: SingleOperation) => Promise<void>;
}

/** Asked for in one operation. */
const ACCOUNTS_PER_OPERATION = 1_000;
const SUGGESTIONS_TOLD_MAX = 100;

export class Rehoming {
  readonly #parts: RehomingParts;
  readonly #traffic: AccountTraffic;
  readonly #distances: Distances;
  readonly #names: readonly string[];
  readonly #balancing: Balancing;
  #cancel = (): void => {};
  #started = false;
  #closed = false;
  #suggested: readonly Move<AccountId>[] = [];
  #postponed = 0;
  /** By interval, of the cycle that ends now. */
  #moved: { readonly interval: number; readonly accounts: number; readonly bytes: number }[] = [];
  #note = '';

  constructor(parts: RehomingParts) {
    const { options, regions, latency } = parts;
    this.#parts = parts;
    this.#balancing = new Balancing(parts);
    this.#names = regions.map(({ name }) => name);
    const shape = {
      regions: regions.length,
      intervalsPerCycle: options.intervalsPerCycle,
      // One more than is looked back on: the cycle before the dwell shows what was usual.
      cycles: options.policy.dwellCycles + 1,
    };
    this.#traffic = new AccountTraffic(shape, options.accountsMax);
    this.#distances = distancesBetween(regions, latency);
  }

  /** `fresh`: what was counted belongs to data that is gone. */
  async start(fresh: boolean): Promise<void> {
    const { options, file } = this.#parts;
    if (fresh) await rm(file, { force: true });
    if (options.mode === 'off') return;
    this.#started = true;
    await this.#traffic.load(file, { intervalMs: options.intervalMs, regions: this.#names });
    this.#traffic.advance(this.#interval(), options.policy.cooldownIntervals);
    this.#plan();
  }

  report({ region, accounts }: TrafficReport): void {
    const at = this.#names.indexOf(region);
    if (this.#parts.options.mode === 'off' || at < 0) return;
    const interval = this.#interval();
    for (const [account, accesses] of accounts) {
      this.#traffic.add(account, { interval, region: at, accesses });
    }
  }

  /** Throws ERR_ACCOUNT_NOT_FOUND; ERR_OPERATION_REFUSED where nothing is counted. */
  async explain(account: AccountId): Promise<AccountExplanation> {
    const { options } = this.#parts;
    const facts = await this.#factsOf([account]);
    const home = facts.homes.get(account);
    if (home === undefined) {
      throw new MeridianError('ERR_ACCOUNT_NOT_FOUND', `there is no account ${account}`);
    }
    const placed = this.#placed(account, this.#traffic.of(account), facts);
    const residency = this.#residencyOf(home.group);
    const { policy, mode, intervalMs, intervalsPerCycle } = options;
    if (placed === undefined) {
      const why =
        mode === 'off'
          ? 'stays: `rehoming.mode` is off, and nothing is counted'
          : 'stays: nobody has used it lately';
      return {
        ...{ account, range: home.range, group: home.group, home: this.#regionOf(home.group) },
        ...{
          residency,
          mode,
          traffic: [],
          homes: [],
          why,
          wouldMoveTo: null,
          intervalMs,
          intervalsPerCycle,
        },
      };
    }
    const told = explainHome(placed, { regions: this.#names, distances: this.#distances }, policy);
    return {
      ...{ account, range: home.range, group: home.group, home: told.home },
      ...{ residency, mode, traffic: told.traffic, homes: told.homes, why: told.why },
      wouldMoveTo: told.judgement.kind === 'move' ? (this.#names[told.judgement.to] ?? null) : null,
      ...{ intervalMs, intervalsPerCycle },
    };
  }

  /** Of what is remembered: which region's clients use accounts of which. Undefined: nothing is counted. */
  async trafficByHome(): Promise<TrafficByHome | undefined> {
    if (this.#parts.options.mode === 'off') return undefined;
    const found: Record<string, Record<string, number>> = {};
    const { homes } = await this.#factsOf([...this.#traffic.entries()].map(([account]) => account));
    for (const [account, { traffic }] of this.#traffic.entries()) {
      const at = homes.get(account);
      if (at === undefined) continue;
      const home = this.#regionOf(at.group);
      traffic.totals.forEach((count, region) => {
        const from = (found[this.#names[region] ?? ''] ??= {});
        if (count > 0) from[home] = (from[home] ?? 0) + count;
      });
    }
    return found;
  }

  /** Of one account, by client region; undefined where nothing was counted. */
  accessesOf(account: AccountId): readonly number[] | undefined {
    return this.#traffic.of(account)?.traffic.totals;
  }

  get status(): RehomingStatus {
    const { mode } = this.#parts.options;
    const moved = this.#movedInCycle();
    return {
      ...{ mode, accountsSeen: this.#traffic.size, note: this.#note },
      suggested: this.#suggested.slice(0, SUGGESTIONS_TOLD_MAX).map((move) => this.#told(move)),
      suggestedTotal: this.#suggested.length,
      postponedTotal: this.#postponed,
      movedAccounts: moved.accounts,
      movedBytes: moved.bytes,
      hot: this.#balancing.status,
    };
  }

  /** Begins nothing more; an operation under way is the operations' to interrupt. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    if (this.#started) await this.#save();
  }

  #interval(): number {
    return Math.floor(this.#parts.clock.now() / this.#parts.options.intervalMs);
  }

  /** A moment after the end of each interval: what was counted in it has been told by then. */
  #plan(): void {
    if (this.#closed) return;
    const { clock, options, log } = this.#parts;
    const { intervalMs } = options;
    const lagMs = Math.min(3_000, intervalMs / 2);
    const waitMs = (this.#interval() + 1) * intervalMs + lagMs - clock.now();
    this.#cancel = clock.schedule(Math.max(1, waitMs), () => {
      void this.#decide()
        .catch((error: unknown) => {
          this.#note = `nothing was decided: ${messageOf(error)}`;
          if (!this.#closed) log.warn('re-homing was not decided', { error });
        })
        .then(() => {
          this.#plan();
        });
    });
  }

  async #decide(): Promise<void> {
    const { options, log } = this.#parts;
    const { policy } = options;
    const interval = this.#interval();
    this.#traffic.advance(interval, policy.cooldownIntervals);
    const facts = await this.#factsOf([...this.#traffic.entries()].map(([account]) => account));
    const accounts: [AccountId, PlacedAccount][] = [];
    for (const [account, remembered] of this.#traffic.entries()) {
      const placed = this.#placed(account, remembered, facts);
      if (placed === undefined) continue;
      if (placed.allowed?.has(placed.home) !== false) accounts.push([account, placed]);
    }
    const plan = planRehoming(
      {
        ...{ accounts, distances: this.#distances, totalBytes: facts.totalBytes },
        moved: this.#movedInCycle(),
      },
      policy,
    );
    this.#suggested = plan.moves;
    this.#postponed = plan.postponed.length;
    this.#note = '';
    if (plan.moves.length > 0) {
      log.info('accounts should have another home', {
        ...{ accounts: plan.moves.length, postponed: plan.postponed.length, mode: options.mode },
      });
    }
    if (options.mode === 'auto' && plan.moves.length > 0)
      await this.#carryOut(plan.moves, interval, facts);
    else if (this.#balancing.possible) await this.#balance(facts);
    await this.#save();
  }

  /** Not beside moves that change what each group has to do. */
  async #balance(facts: AccountFacts): Promise<void> {
    const { options, log } = this.#parts;
    await this.#balancing.decide(this.#traffic.entries(), facts);
    const { status } = this.#balancing;
    if (status.length === 0) return;
    log.info('groups have more to do than others', { groups: status.map(({ group }) => group) });
    if (options.mode !== 'auto' || (await this.#unwellNow())) return;
    try {
      await this.#balancing.carryOut();
    } catch (error) {
      this.#note = `a hot group was not relieved: ${messageOf(error)}`;
      log.warn('a hot group was not relieved', { error });
    }
  }

  async #carryOut(
    moves: readonly Move<AccountId>[],
    interval: number,
    { homes }: AccountFacts,
  ): Promise<void> {
    const { operate, log } = this.#parts;
    if (await this.#unwellNow()) return;
    const pinnedTo = ({ account }: Move<AccountId>): ResidencyName | null =>
      this.#residencyOf(homes.get(account)?.group ?? '');
    for (const { to, residency, moves: all } of goingTogether(moves, pinnedTo)) {
      for (let first = 0; first < all.length && !this.#closed; first += ACCOUNTS_PER_OPERATION) {
        const some = all.slice(first, first + ACCOUNTS_PER_OPERATION);
        for (const { account } of some) this.#traffic.moved(account, interval);
        const bytes = some.reduce((sum, move) => sum + move.bytes, 0);
        this.#moved.push({ interval, accounts: some.length, bytes });
        await this.#save();
        try {
          const accounts = some.map(({ account }) => account);
          await operate({ kind: 'rehome', accounts, to: this.#names[to] ?? '', residency });
        } catch (error) {
          // They are judged again after the cool-down.
          this.#note = `${String(some.length)} accounts were not moved: ${messageOf(error)}`;
          log.warn('accounts were not re-homed', { to: this.#names[to], error });
        }
      }
    }
    this.#suggested = [];
  }

  /** Told, too. */
  async #unwellNow(): Promise<boolean> {
    const unwell = await this.#unwell();
    if (unwell === undefined) return false;
    this.#note = `nothing is moved while ${unwell}`;
    this.#parts.log.info('accounts are not re-homed', { reason: this.#note });
    return true;
  }

  /** What is not as it should be, for a person; undefined: all is well. */
  async #unwell(): Promise<string | undefined> {
    const { groups, gateways } = await this.#parts.status();
    const closed = groups.find(({ leader }) => leader === null);
    if (closed !== undefined) return `${closed.name} has no leader`;
    const gateway = gateways.find(({ state }) => state !== 'ready');
    return gateway === undefined ? undefined : `${gateway.name} is ${gateway.state}`;
  }

  async #factsOf(accounts: readonly AccountId[]): Promise<AccountFacts> {
    const { accountFacts } = this.#parts.engine;
    if (accountFacts === undefined) {
      throw new MeridianError(
        'ERR_ENGINE_UNSUPPORTED',
        'this engine places accounts itself: it is not known here where they are',
      );
    }
    return accountFacts(accounts);
  }

  #placed(
    account: AccountId,
    remembered: Remembered | undefined,
    facts: AccountFacts,
  ): PlacedAccount | undefined {
    const at = facts.homes.get(account);
    if (at === undefined || remembered === undefined) return undefined;
    const home = this.#names.indexOf(this.#regionOf(at.group));
    if (home < 0) return undefined;
    const { movedAt, traffic } = remembered;
    return {
      ...{ home, traffic, allowed: this.#allowed(this.#residencyOf(at.group)) },
      bytes: facts.bytesPerAccount[at.range] ?? 0,
      movedAgo: movedAt === undefined ? undefined : this.#interval() - movedAt,
    };
  }

  #residencyOf(group: string): ResidencyName | null {
    return residencyOf(this.#parts.groups.find(({ name }) => name === group));
  }

  /** Where such accounts may live; undefined: in all regions. */
  #allowed(residency: ResidencyName | null): ReadonlySet<number> | undefined {
    const { groups, isDraining } = this.#parts;
    const homes = new Set(
      groups.flatMap((group) => (residencyOf(group) === residency ? group.homeRegion : [])),
    );
    const open = this.#names.flatMap((name, index) =>
      isDraining(name) || !homes.has(name) ? [] : [index],
    );
    return open.length === this.#names.length ? undefined : new Set(open);
  }

  #regionOf(group: string): string {
    return this.#parts.groups.find(({ name }) => name === group)?.homeRegion ?? '';
  }

  #movedInCycle(): { readonly accounts: number; readonly bytes: number } {
    const since = this.#interval() - this.#parts.options.intervalsPerCycle;
    this.#moved = this.#moved.filter(({ interval }) => interval > since);
    return this.#moved.reduce(
      (all, one) => ({ accounts: all.accounts + one.accounts, bytes: all.bytes + one.bytes }),
      { accounts: 0, bytes: 0 },
    );
  }

  #told({
    account,
    from,
    to,
    because,
    gain,
  }: Move<AccountId>): RehomingStatus['suggested'][number] {
    const name = (region: number): string => this.#names[region] ?? '';
    return { account, from: name(from), to: name(to), because, gain };
  }

  async #save(): Promise<void> {
    const { file, options, log } = this.#parts;
    const { intervalMs } = options;
    await this.#traffic
      .save(file, { intervalMs, regions: this.#names, interval: this.#interval() })
      .catch((error: unknown) => {
        log.warn('the traffic of accounts was not kept', { error });
      });
  }
}
