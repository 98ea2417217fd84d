/** Where each kind of call goes, from one routing view: leader or replica, epochs, scopes. */
import type { SessionTarget } from '../engines/connector.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Position } from '../topology/position.ts';
import type { AccountHome, AccountId, RoutedGroup, RoutingView } from '../topology/routing.ts';
import type { AttemptServices, CrossGroupRoute, Hints } from './work.ts';
import { groupOf, leaderOf, nearestOf, patienceMs } from './choose-node.ts';
import type { Directory } from './directory.ts';

/** Waiting at a replica for a position is worth at most about a round trip to the leader. */
const POSITION_WAIT_SLACK_MS = 25;

/** The leader of the accounts' group; of their groups, when they live in several. */
export async function writeRoute(
  view: RoutingView,
  ids: readonly AccountId[],
  from: { readonly directory: Directory; readonly hints: Hints },
): Promise<SessionTarget | CrossGroupRoute> {
  const homes = await Promise.all(ids.map((id) => locateFor(id, from.directory, from.hints)));
  const names = [...new Set(homes.map((home) => home.group))];
  const targets = names.map((name): SessionTarget => {
    const group = groupOf(view, name);
    return {
      node: leaderOf(group),
      group: name,
      access: { kind: 'write', groupEpoch: group.epoch, global: false },
      scopes: homes.filter((home) => home.group === name).map((home) => scopeOf(view, home)),
    };
  });
  const [first, ...more] = targets;
  if (first === undefined) {
    throw new MeridianError('ERR_ACCOUNT_INVALID', 'a transaction needs at least one account');
  }
  if (more.length === 0) return first;
  const places = homes.map((home, index) => ({
    target: names.indexOf(home.group),
    scope: homes.slice(0, index).filter((other) => other.group === home.group).length,
  }));
  return { targets, places };
}

/** How fresh a read must be. */
export interface Wanted {
  readonly staleness: number | undefined;
  readonly positions: readonly Position[];
  readonly strong: boolean;
}

export function readRoute(
  services: AttemptServices,
  read: {
    readonly group: RoutedGroup;
    readonly scope: SessionTarget['scopes'][number];
    readonly wanted: Wanted;
    readonly leader: boolean;
  },
): SessionTarget {
  const { group, wanted } = read;
  const shared = { group: group.name, scopes: [read.scope] };
  if (wanted.staleness !== undefined) services.control.countBoundedRead();
  // Without a leader, what some replica could not serve another may, or the same a moment later.
  if (wanted.strong || (read.leader && group.leader !== undefined)) {
    services.counters.add('readsOnLeader');
    return {
      ...shared,
      node: leaderOf(group),
      access: { kind: 'strong-read', groupEpoch: group.epoch },
    };
  }
  // The nearest may be the leader itself: it is fresh once it proves that it still leads, and this
  // kind of read costs it neither predicate locks nor a commit.
  const nearest = nearestOf(group, services.avoided.has);
  services.counters.add(nearest.name === group.leader ? 'readsOnLeader' : 'readsOnReplica');
  const leader = group.nodes.find((node) => node.name === group.leader);
  return {
    ...shared,
    node: nearest,
    access: {
      kind: 'replica-read',
      groupEpoch: group.epoch,
      maxStalenessMs: wanted.staleness,
      atLeast: wanted.positions.find((position) => position.group === group.name),
      waitMs: (leader?.roundTripMs ?? 0) + POSITION_WAIT_SLACK_MS,
      patienceMs: patienceMs(nearest),
    },
  };
}

/** The range of one account, at its leader or a replica of it. */
export async function accountReadRoute(
  services: AttemptServices,
  view: RoutingView,
  read: {
    readonly id: AccountId;
    readonly wanted: Wanted;
    readonly directory: Directory;
    readonly hints: Hints;
  },
): Promise<SessionTarget> {
  const { wanted, hints } = read;
  const home = await locateFor(read.id, read.directory, hints);
  const scope = scopeOf(view, home);
  return readRoute(services, {
    group: groupOf(view, home.group),
    scope,
    wanted,
    leader: hints.leader,
  });
}

/** The global tables alone, written at the primary. */
export function globalWriteRoute(view: RoutingView): SessionTarget {
  const group = groupOf(view, view.primaryGroup);
  return {
    node: leaderOf(group),
    group: group.name,
    access: { kind: 'write', groupEpoch: group.epoch, global: true },
    scopes: [{ range: undefined, account: undefined }],
  };
}

function locateFor(id: AccountId, directory: Directory, hints: Hints): Promise<AccountHome> {
  const { signal } = hints.deadline;
  const into = hints.departed.get(id);
  hints.departed.delete(id);
  if (into !== undefined) directory.remember(id, into);
  return directory.locate(id, {
    fresh: hints.fresh && into === undefined,
    signal,
    timeoutMs: hints.deadline.remainingMs(),
  });
}

function scopeOf(view: RoutingView, home: AccountHome): SessionTarget['scopes'][number] {
  const range = view.ranges[home.range];
  if (range === undefined || range.group !== home.group) {
    throw new MeridianError('ERR_ENGINE_STALE_ROUTE', `range ${home.range} has just moved`);
  }
  return { range: { name: range.name, epoch: range.epoch }, account: home.account };
}
