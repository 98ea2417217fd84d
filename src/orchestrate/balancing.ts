/**
 * Groups of a region that have much more to do than the others, seen in what was counted of accounts: told, and,
 * where that is asked for, relieved by the operations that a person would ask for.
 */
import type { HotGroupStatus } from '../control/placement.ts';
import type { AccountFacts, Engine, RangeFacts } from '../engines/engine.ts';
import type { HotGroupPolicy } from '../placement/hot-group-policy.ts';
import {
  relieveHotGroups,
  type AccountLoad,
  type GroupRanges,
  type Relief,
} from '../placement/hot-groups.ts';
import type { GroupSpec } from '../topology/node.ts';
import { residencyOf } from '../topology/residency.ts';
import type { AccountId } from '../topology/routing.ts';
import type { Remembered } from './account-traffic.ts';
import type { SingleOperation } from './operation-plan.ts';

export interface BalancingParts {
  readonly engine: Pick<Engine, 'rangeFacts' | 'accountFacts'>;
  readonly groups: readonly GroupSpec[];
  readonly options: { readonly hot: HotGroupPolicy };
  readonly operate: (request: SingleOperation) => Promise<void>;
}

/** The last ones that are over: hot in each of them is hot. */
const INTERVALS = 3;
const ACCOUNTS_TOLD_MAX = 100;

export class Balancing {
  readonly #parts: BalancingParts;
  #reliefs: readonly Relief[] = [];

  constructor(parts: BalancingParts) {
    this.#parts = parts;
  }

  get status(): readonly HotGroupStatus[] {
    return this.#reliefs.map((relief) => ({
      ...{ kind: relief.kind, group: relief.from, range: relief.range, share: relief.share },
      to: relief.kind === 'indivisible' ? null : relief.to,
      accounts: relief.kind === 'split' ? relief.accounts.slice(0, ACCOUNTS_TOLD_MAX) : [],
      accountsTotal: relief.kind === 'split' ? relief.accounts.length : 0,
      account: relief.kind === 'indivisible' ? relief.account : null,
    }));
  }

  /** Some region has groups that could share what there is to do. */
  get possible(): boolean {
    const homes = shared(this.#parts.groups).map(({ homeRegion }) => homeRegion);
    return new Set(homes).size < homes.length;
  }

  async decide(
    accounts: Iterable<readonly [AccountId, Remembered]>,
    { homes }: Pick<AccountFacts, 'homes'>,
  ): Promise<void> {
    const facts = (await this.#parts.engine.rangeFacts?.()) ?? [];
    const loads: AccountLoad[] = [];
    for (const [account, remembered] of accounts) {
      const home = homes.get(account);
      if (home !== undefined) loads.push(loadOf(account, home.range, remembered));
    }
    this.#reliefs = relieveHotGroups(
      rangesByGroup(this.#parts.groups, facts),
      loads,
      this.#parts.options.hot,
    );
  }

  /**
   * Rejects as the operations do; what was not done is decided anew. Nothing of it is stored: a range that was
   * split off, and whose move was not begun, is one that may be moved as it is.
   */
  async carryOut(): Promise<void> {
    for (const relief of this.#reliefs) {
      if (relief.kind === 'indivisible') continue;
      await this.#relieve(relief);
      this.#reliefs = this.#reliefs.filter((one) => one !== relief);
    }
  }

  async #relieve(relief: Exclude<Relief, { kind: 'indivisible' }>): Promise<void> {
    const { engine, operate } = this.#parts;
    const { range, to } = relief;
    if (relief.kind === 'move') {
      await operate({ kind: 'move', range, to });
      return;
    }
    const { accounts } = relief;
    await operate({ kind: 'split', range, accounts });
    const homes = (await engine.accountFacts?.(accounts.slice(0, 1)))?.homes;
    const made = homes?.get(accounts[0] ?? '')?.range;
    if (made !== undefined && made !== range) await operate({ kind: 'move', range: made, to });
  }
}

function loadOf(account: AccountId, range: string, { traffic }: Remembered): AccountLoad {
  const known = Math.min(INTERVALS, traffic.known);
  const loads = Array.from({ length: known }, (_, at) => {
    let load = 0;
    for (let region = 0; region < traffic.shape.regions; region += 1) {
      load += traffic.count(at + 1, region);
    }
    return load;
  });
  return { account, range, loads };
}

/** A residency has one group in each of its regions, which shares with nobody. */
function shared(groups: readonly GroupSpec[]): readonly GroupSpec[] {
  return groups.filter((group) => residencyOf(group) === null);
}

function rangesByGroup(
  groups: readonly GroupSpec[],
  facts: readonly RangeFacts[],
): readonly GroupRanges[] {
  return shared(groups).map(({ name: group, homeRegion }) => ({
    ...{ group, homeRegion },
    ranges: facts.filter((one) => one.group === group).map(({ range, made }) => ({ range, made })),
  }));
}
