/** The client library: what `connect` returns. Types and guarantees are in api.ts. */
import type { SessionTarget } from '../engines/connector.ts';
import { MeridianError } from '../kernel/errors.ts';
import { mergeTokens, parseToken, type Position, type Token } from '../topology/position.ts';
import type { AccountHome, AccountId, RoutedGroup, RoutingView } from '../topology/routing.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import { createAccount } from './accounts.ts';
import type {
  AccountClient,
  Committed,
  GlobalClient,
  MeridianClient,
  ReadOptions,
  Transaction,
  TransactionOptions,
} from './api.ts';
import { runAttempts, type AttemptServices, type Work } from './attempts.ts';
import { groupOf, leaderOf, nearestOf } from './choose-node.ts';
import { checkAccountId, Directory, type LocateOptions } from './directory.ts';

/** Waiting at a replica for a position is worth at most about a round trip to the leader. */
const POSITION_WAIT_SLACK_MS = 25;

export interface ClientParts {
  readonly services: AttemptServices;
  readonly region: string;
  readonly newId: () => string;
}

export function createClient(parts: ClientParts): MeridianClient & {
  readonly control: ControlSubscription;
} {
  const { services, region } = parts;
  const directory = new Directory(services);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= (async () => {
      await services.control[Symbol.asyncDispose]();
      await services.connector[Symbol.asyncDispose]();
    })();
    return closed;
  };
  const perform = <T>(kind: 'transactions' | 'reads', work: Work<T>): Promise<Committed<T>> => {
    if (closed !== undefined) throw new MeridianError('ERR_ENGINE_CLOSED', 'the client is closed');
    services.counters.add(kind);
    return runAttempts(services, work);
  };

  const account = (id: AccountId): AccountClient => {
    checkAccountId(id);
    return {
      transaction: (run, options = {}) =>
        perform('transactions', {
          ...limitsOf(options),
          route: (view, hints) => writeRoute(view, [id], { directory, hints }),
          run: ([tx]) => run(only(tx)),
        }),
      read: (run, options = {}) =>
        readWith(options, (wanted) =>
          perform('reads', {
            ...limitsOf(options),
            route: async (view, hints) => {
              const home = await locateFor(id, directory, hints);
              const scope = scopeOf(view, home);
              const group = groupOf(view, home.group);
              return readRoute(services, { group, scope, wanted, leader: hints.leader });
            },
            run: ([tx]) => run(only(tx)),
          }),
        ),
    };
  };

  const global: GlobalClient = {
    read: (run, options = {}) =>
      readWith(options, (wanted) =>
        perform('reads', {
          ...limitsOf(options),
          // eslint-disable-next-line @typescript-eslint/require-await -- routes may wait
          route: async (view, hints) =>
            readRoute(services, {
              group: groupOf(view, view.primaryGroup),
              scope: { range: undefined, account: undefined },
              wanted,
              leader: hints.leader,
            }),
          run: ([tx]) => run(only(tx)),
        }),
      ),
    write: (run, options = {}) =>
      perform('transactions', {
        ...limitsOf(options),
        // eslint-disable-next-line @typescript-eslint/require-await -- routes may wait
        route: async (view) => {
          const group = groupOf(view, view.primaryGroup);
          return {
            node: leaderOf(group),
            group: group.name,
            access: { kind: 'write', groupEpoch: group.epoch, global: true },
            scopes: [{ range: undefined, account: undefined }],
          };
        },
        run: ([tx]) => run(only(tx)),
      }),
  };

  return {
    region,
    control: services.control,
    account,
    global,
    createAccount: (options) =>
      createAccount({ services, directory, global, newId: parts.newId }, options),
    locate: (id, options: LocateOptions = {}) => directory.locate(id, options),
    transaction: (ids, run, options = {}) => {
      ids.forEach(checkAccountId);
      const distinct = [...new Set<string>(ids)];
      return perform('transactions', {
        ...limitsOf(options),
        route: (view, hints) => writeRoute(view, distinct, { directory, hints }),
        run: (handles) => {
          const byId = Object.fromEntries(distinct.map((id, index) => [id, only(handles[index])]));
          return run(byId as Readonly<Record<(typeof ids)[number], Transaction>>);
        },
      });
    },
    counters: () => services.counters.snapshot(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

type Hints = Parameters<Work<unknown>['route']>[1];

/** The leader of the accounts' one group; ERR_CROSS_GROUP_TRANSACTION when they have several. */
async function writeRoute(
  view: RoutingView,
  ids: readonly AccountId[],
  from: { readonly directory: Directory; readonly hints: Hints },
): Promise<SessionTarget> {
  const homes = await Promise.all(ids.map((id) => locateFor(id, from.directory, from.hints)));
  const [first] = homes;
  if (first === undefined) {
    throw new MeridianError('ERR_ACCOUNT_INVALID', 'a transaction needs at least one account');
  }
  if (homes.some((home) => home.group !== first.group)) {
    const groups = [...new Set(homes.map((home) => home.group))];
    throw new MeridianError(
      'ERR_CROSS_GROUP_TRANSACTION',
      `the accounts live in several replication groups: ${groups.join(', ')}`,
      { details: { groups } },
    );
  }
  const group = groupOf(view, first.group);
  return {
    node: leaderOf(group),
    group: group.name,
    access: { kind: 'write', groupEpoch: group.epoch, global: false },
    scopes: homes.map((home) => scopeOf(view, home)),
  };
}

interface Wanted {
  readonly staleness: number | undefined;
  readonly positions: readonly Position[];
  readonly strong: boolean;
}

function readRoute(
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
  if (wanted.strong || read.leader) {
    services.counters.add('readsOnLeader');
    return {
      ...shared,
      node: leaderOf(group),
      access: { kind: 'strong-read', groupEpoch: group.epoch },
    };
  }
  // The nearest may be the leader itself: it is fresh once it proves that it still leads, and this
  // kind of read costs it neither predicate locks nor a commit.
  const nearest = nearestOf(group);
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
    },
  };
}

/** Reads the options once; the answer's token includes the one that was given. */
async function readWith<T>(
  options: ReadOptions,
  run: (wanted: Wanted) => Promise<Committed<T>>,
): Promise<Committed<T>> {
  const token: Token = options.token ?? '';
  const { staleness } = options;
  if (staleness !== undefined && !(staleness >= 0)) {
    throw new RangeError('staleness is a number of milliseconds, at least 0');
  }
  const done = await run({
    staleness: staleness === undefined ? undefined : Math.floor(staleness),
    positions: parseToken(token),
    strong: staleness === undefined && token === '',
  });
  return token === '' ? done : { ...done, token: mergeTokens(token, done.token) };
}

function locateFor(id: AccountId, directory: Directory, hints: Hints): Promise<AccountHome> {
  const { signal } = hints.deadline;
  return directory.locate(id, {
    fresh: hints.fresh,
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

function limitsOf(
  options: TransactionOptions,
): Pick<Work<unknown>, 'timeoutMs' | 'retriesMax' | 'signal'> {
  return {
    timeoutMs: options.timeoutMs,
    retriesMax: options.retriesMax,
    signal: options.signal,
  };
}

function only(tx: Transaction | undefined): Transaction {
  if (tx === undefined) throw new MeridianError('ERR_INTERNAL', 'a transaction has no handle');
  return tx;
}
