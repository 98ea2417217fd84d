/**
 * Sends accounts out of groups, some at a time, each to where it is nearest to its clients. Those that cannot go, because
 * their rows refer to others' say, hold up nobody else: what is refused together is tried in halves.
 */
import type { OperationOptions } from '../control/operation.ts';
import type { Engine } from '../engines/engine.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import { homeAfter, type Leaving } from '../placement/drain.ts';
import type { RegionName } from '../topology/region.ts';
import type { ResidencyName } from '../topology/residency.ts';
import type { AccountId } from '../topology/routing.ts';
import type { SingleOperation } from './operation-plan.ts';

export interface EmptyingParts {
  readonly engine: Pick<Engine, 'accountsInGroups'>;
  /** Accesses by client region, where they were counted. */
  readonly trafficOf: (account: AccountId) => readonly number[] | undefined;
  readonly operate: (request: SingleOperation, options?: OperationOptions) => Promise<void>;
}

export interface Emptied {
  readonly groups: readonly string[];
  readonly residency: ResidencyName | null;
  readonly leaving: Leaving;
  readonly names: readonly RegionName[];
  readonly signal: AbortSignal;
  /** So many of those under way have arrived, or, with `ended`, all of them. */
  readonly onArrived: (accounts: number, ended: boolean) => void;
}

/** In one operation. */
const BATCH = 1_000;

/** Throws what was in the way of those that are still there, once all others have gone. */
export async function emptyGroups(parts: EmptyingParts, of: Emptied): Promise<void> {
  let failure: MeridianError | undefined;
  for (let after = ''; !of.signal.aborted;) {
    const part = { after, limit: BATCH };
    const accounts = (await parts.engine.accountsInGroups?.(of.groups, part)) ?? [];
    const last = accounts.at(-1);
    if (last === undefined) break;
    after = last;
    for (const [to, some] of byHome(parts, of, accounts)) {
      failure = (await send(parts, of, { to, accounts: some })) ?? failure;
    }
  }
  if (failure !== undefined) throw failure;
}

function byHome(
  { trafficOf }: EmptyingParts,
  { leaving, names, residency }: Emptied,
  accounts: readonly AccountId[],
): ReadonlyMap<RegionName, readonly AccountId[]> {
  const found = new Map<RegionName, AccountId[]>();
  for (const account of accounts) {
    const to = homeAfter(leaving, trafficOf(account));
    const name = to === undefined ? undefined : names[to];
    if (name === undefined) {
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        residency === null
          ? 'no other region takes accounts'
          : `no other region takes accounts that are pinned to ${residency}`,
      );
    }
    const there = found.get(name) ?? [];
    there.push(account);
    found.set(name, there);
  }
  return found;
}

/** What has been refused of some of them; undefined: all have gone. */
async function send(
  parts: EmptyingParts,
  of: Emptied,
  what: { readonly to: RegionName; readonly accounts: readonly AccountId[] },
): Promise<MeridianError | undefined> {
  const { to, accounts } = what;
  if (of.signal.aborted) return undefined;
  try {
    await parts.operate(
      { kind: 'rehome', accounts, to, residency: of.residency },
      {
        onEvent: (event) => {
          if (event.kind !== 'progress' || !('doneAccounts' in event)) return;
          of.onArrived(event.doneAccounts, false);
        },
      },
    );
    of.onArrived(accounts.length, true);
    return undefined;
  } catch (error) {
    if (!isMeridianError(error, 'ERR_OPERATION_REFUSED')) throw error;
    if (accounts.length === 1) return error;
    const half = Math.ceil(accounts.length / 2);
    const first = await send(parts, of, { to, accounts: accounts.slice(0, half) });
    const second = await send(parts, of, { to, accounts: accounts.slice(half) });
    return first ?? second;
  }
}
