/** The client library: what `connect` returns. Types and guarantees are in api.ts. */
import { MeridianError } from '../kernel/errors.ts';
import { firstOf } from '../kernel/signal.ts';
import { mergeTokens, parseToken, type Token } from '../topology/position.ts';
import type { SessionTarget } from '../engines/connector.ts';
import type { AccountId, RoutingView } from '../topology/routing.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import { createAccount } from './accounts.ts';
import type {
  AccountClient,
  AccountTransactionOptions,
  Committed,
  GlobalClient,
  MeridianClient,
  ReadOptions,
  Transaction,
  TransactionOptions,
} from './api.ts';
import { runAttempts } from './attempts.ts';
import { groupOf } from './choose-node.ts';
import type { PhaseObserver } from './cross-group.ts';
import { checkAccountId, Directory, type LocateOptions } from './directory.ts';
import { keyedBy } from './idempotency.ts';
import { followLeaders } from './leadership.ts';
import { Resolver } from './resolver.ts';
import {
  accountReadRoute,
  globalWriteRoute,
  readRoute,
  writeRoute,
  type Wanted,
} from './routes.ts';
import { ownHost } from './sql-tools/own-host.ts';
import { poolOn } from './sql-tools/pool.ts';
import type { AttemptServices, CrossGroupRoute, Hints, Work } from './work.ts';

export interface ClientParts {
  readonly services: AttemptServices;
  readonly region: string;
  readonly newId: () => string;
  /** Told of each step of a transaction over several groups, and waited for. */
  readonly observe?: PhaseObserver | undefined;
  /** Called once, when the client is closed. */
  readonly onClose?: () => void;
}

/** What the parts of one client share. */
interface Shared {
  readonly services: AttemptServices;
  readonly directory: Directory;
  /** Rejects once the client is closed. */
  readonly perform: <T>(kind: 'transactions' | 'reads', work: Work<T>) => Promise<Committed<T>>;
}

export function createClient(parts: ClientParts): MeridianClient & {
  readonly control: ControlSubscription;
} {
  const { region } = parts;
  const resolver = resolverOf(parts.services);
  const services = withCrossGroup(parts, resolver);
  const directory = new Directory(services);
  const unfollow = followLeaders(services);
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= (async () => {
      unfollow();
      await resolver?.close();
      parts.onClose?.();
      await services.control[Symbol.asyncDispose]();
      await services.connector[Symbol.asyncDispose]();
    })();
    return closed;
  };
  const shared: Shared = {
    services,
    directory,
    perform: async (kind, work) => {
      if (closed !== undefined) {
        throw new MeridianError('ERR_ENGINE_CLOSED', 'the client is closed');
      }
      services.counters.add(kind);
      return runAttempts(services, work);
    },
  };
  const global = globalClient(shared);
  return {
    region,
    control: services.control,
    account: (id) => accountClient(shared, id),
    global,
    createAccount: (options) =>
      createAccount({ services, directory, global, newId: parts.newId }, options),
    locate: (id, options: LocateOptions = {}) => directory.locate(id, options),
    transaction: async (ids, run, options = {}) => {
      ids.forEach(checkAccountId);
      const distinct = [...new Set<string>(ids)];
      return shared.perform('transactions', {
        ...limitsOf(options),
        keyed: keyedBy(distinct[0] ?? '', options.idempotency),
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

function resolverOf(services: AttemptServices): Resolver | undefined {
  const { clock, random, control, counters, connector } = services;
  if (connector.twoPhase === undefined) return undefined;
  return new Resolver({ clock, random, control, counters, twoPhase: connector.twoPhase });
}

function withCrossGroup(parts: ClientParts, resolver: Resolver | undefined): AttemptServices {
  const { services, newId, observe = () => {} } = parts;
  const { clock, random, counters, connector } = services;
  const { twoPhase } = connector;
  if (twoPhase === undefined || resolver === undefined) return services;
  const crossGroup = { twoPhase, resolver, counters, clock, random, newId, observe };
  return { ...services, crossGroup };
}

function accountClient(shared: Shared, id: AccountId): AccountClient {
  const { services, directory } = shared;
  checkAccountId(id);
  return clientOf(shared, {
    account: id,
    write: (view, hints) => writeRoute(view, [id], { directory, hints }),
    read: (view, { wanted, hints }) =>
      accountReadRoute(services, view, { id, wanted, directory, hints }),
  });
}

function globalClient(shared: Shared): GlobalClient {
  const { services } = shared;
  const client = clientOf(shared, {
    write: async (view) => globalWriteRoute(view),
    read: async (view, { wanted, hints }) =>
      readRoute(services, {
        group: groupOf(view, view.primaryGroup),
        scope: { range: undefined, account: undefined },
        wanted,
        leader: hints.leader,
      }),
  });
  const { transaction: write, read, pool, readPool } = client;
  return { write, read, pool, readPool };
}

type Running<T> = Pick<Work<T>, 'run' | 'mayRunAgain'>;

interface Routes {
  /** Whose keys they are; global tables have none. */
  readonly account?: AccountId;
  write(view: RoutingView, hints: Hints): Promise<SessionTarget | CrossGroupRoute>;
  read(
    view: RoutingView,
    how: { readonly wanted: Wanted; readonly hints: Hints },
  ): Promise<SessionTarget>;
}

/** Everything that one place of data offers, from where its writes and reads go. */
function clientOf({ perform }: Shared, routes: Routes): AccountClient {
  const write = async <T>(
    work: Running<T>,
    options: AccountTransactionOptions,
  ): Promise<Committed<T>> => {
    const { account } = routes;
    const keyed = account === undefined ? undefined : keyedBy(account, options.idempotency);
    return perform('transactions', { ...limitsOf(options), ...work, keyed, route: routes.write });
  };
  const read = <T>(work: Running<T>, options: ReadOptions): Promise<Committed<T>> =>
    readWith(options, (wanted) =>
      perform('reads', {
        ...limitsOf(options),
        ...work,
        route: (view, hints) => routes.read(view, { wanted, hints }),
      }),
    );
  return {
    transaction: (run, options = {}) => write({ run: ([tx]) => run(only(tx)) }, options),
    read: (run, options = {}) => read({ run: ([tx]) => run(only(tx)) }, options),
    pool: (options = {}) =>
      poolOn(
        ownHost(false, ({ readOnly, signal, run, mayRunAgain }) => {
          return within(options.signal, signal, (both) =>
            (readOnly ? read : write)({ run, mayRunAgain }, { ...options, signal: both }),
          );
        }),
      ),
    readPool: (options = {}) => {
      const strong = options.staleness === undefined && (options.token ?? '') === '';
      return poolOn(
        ownHost(true, ({ seen, signal, run, mayRunAgain }) => {
          const token = strong ? undefined : mergeTokens(options.token ?? '', seen);
          return within(options.signal, signal, (both) =>
            read({ run, mayRunAgain }, { ...options, token, signal: both }),
          );
        }),
      );
    },
  };
}

/** The outer one may live as long as the program. */
async function within<T>(
  outer: AbortSignal | undefined,
  inner: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  using either = firstOf(outer, inner);
  return await run(either.signal);
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

function limitsOf(
  options: TransactionOptions,
): Pick<Work<unknown>, 'timeoutMs' | 'retriesMax' | 'signal' | 'statementLimits'> {
  const { statementTimeoutMs, lockTimeoutMs } = options;
  checkLimit('statementTimeoutMs', statementTimeoutMs);
  checkLimit('lockTimeoutMs', lockTimeoutMs);
  return {
    statementLimits: { statementTimeoutMs, lockTimeoutMs },
    timeoutMs: options.timeoutMs,
    retriesMax: options.retriesMax,
    signal: options.signal,
  };
}

/** The database's own bounds; its 0 would mean none, which leaving it out says better. */
function checkLimit(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isInteger(value) && value >= 1 && value < 2 ** 31)) return;
  throw new RangeError(`${name} is a whole number of milliseconds, at least 1`);
}

function only(tx: Transaction | undefined): Transaction {
  if (tx === undefined) throw new MeridianError('ERR_INTERNAL', 'a transaction has no handle');
  return tx;
}
