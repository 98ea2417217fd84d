/** The client library: what `connect` returns. Types and guarantees are in api.ts. */
import { MeridianError } from '../kernel/errors.ts';
import { mergeTokens, parseToken, type Token } from '../topology/position.ts';
import type { AccountId } from '../topology/routing.ts';
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
import { groupOf } from './choose-node.ts';
import { checkAccountId, Directory, type LocateOptions } from './directory.ts';
import {
  accountReadRoute,
  globalWriteRoute,
  readRoute,
  writeRoute,
  type Wanted,
} from './routes.ts';

export interface ClientParts {
  readonly services: AttemptServices;
  readonly region: string;
  readonly newId: () => string;
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

function accountClient(shared: Shared, id: AccountId): AccountClient {
  const { services, directory, perform } = shared;
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
          route: (view, hints) =>
            accountReadRoute(services, view, { id, wanted, directory, hints }),
          run: ([tx]) => run(only(tx)),
        }),
      ),
  };
}

function globalClient(shared: Shared): GlobalClient {
  const { services, perform } = shared;
  return {
    read: (run, options = {}) =>
      readWith(options, (wanted) =>
        perform('reads', {
          ...limitsOf(options),
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
        route: async (view) => globalWriteRoute(view),
        run: ([tx]) => run(only(tx)),
      }),
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
