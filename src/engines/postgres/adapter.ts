/**
 * The embedded engine: PostgreSQL replication groups on one machine, behind the engine port.
 *
 *   plan.ts decides · performing.ts does, by nodes.ts, opening.ts, migrating.ts, globals.ts
 *   observe.ts looks
 *   connector.ts and transaction.ts are the data side
 */
import { MeridianError } from '../../kernel/errors.ts';
import { orAborted } from '../../kernel/signal.ts';
import type { Engine, EngineAdapter, EngineServices, StepOutcome } from '../engine.ts';
import type { EngineCapabilities } from '../capabilities.ts';
import { serverAccount } from './account.ts';
import { locateBinaries } from './binaries.ts';
import { Cluster } from './cluster.ts';
import { createConnector } from './connector.ts';
import { diagnosePostgres } from './diagnose.ts';
import { applyRole } from './arbiter/fencing.ts';
import { Background } from './background.ts';
import { LeaderSessions } from './leader-session.ts';
import { observeCluster } from './observe.ts';
import type { PostgresOptions } from './options.ts';
import { performAction } from './performing.ts';
import { asStored, checkPlaces, type StoredCluster } from './places.ts';
import { planSteps, type PostgresAction } from './plan.ts';
import { planWanted } from './plan-wanted.ts';
import { accountsInGroups } from './ranges/draining.ts';
import { accountFacts, rangeFacts } from './ranges/homes.ts';
import { Moves } from './ranges/moves.ts';
import { Transfers } from './ranges/transfers.ts';
import { schemaFacts } from './schema-facts.ts';
import { DATABASE, ROLE } from './roles.ts';
import { routesOf, type RangePlaces } from './routes.ts';
import { loadSecrets } from './secrets.ts';
import { stopServers } from './stopping.ts';
import { prepareStorage, removeStorage } from './storage.ts';

const CAPABILITIES: EngineCapabilities = {
  lifecycle: 'managed',
  failover: 'orchestrated',
  survivalGoals: ['zone', 'region'],
  localities: ['global', 'regional'],
  localityMechanism: 'emulated',
  rehome: 'copy',
  followerReads: ['bounded', 'at-least'],
  crossGroupTransactions: true,
  positionKind: 'lsn',
  changeOrder: 'none',
  transactionalDdl: true,
};

export const postgresAdapter: EngineAdapter<PostgresOptions> = {
  name: 'postgres',
  capabilities: CAPABILITIES,
  open: openEngine,
  asStored: (stored, desired) => asStored(clusterIn(stored), desired),
  checkStored: (stored, desired) => {
    const cluster = clusterIn(stored);
    checkPlaces(cluster, asStored(cluster, desired));
  },
  discard: removeStorage,
  diagnose: diagnosePostgres,
  connector: createConnector,
};

const clusterIn = (stored: unknown): StoredCluster =>
  (stored as StoredCluster | undefined) ?? { groups: {} };

async function openEngine(options: PostgresOptions, services: EngineServices): Promise<Engine> {
  const account = serverAccount();
  const storage = await prepareStorage(services.directory, account);
  const [secrets, binaries] = await Promise.all([
    loadSecrets(services.directory),
    locateBinaries({
      host: services.host,
      account,
      cacheDirectory: `${storage.nodesDirectory}/../cache`,
    }),
  ]);
  const server = {
    host: services.host,
    clock: services.clock,
    ...{ account, binaries, storage, secrets, options },
  };
  const cluster = new Cluster(server, services);
  cluster.directory = services.clock.now();
  return engineOf(cluster);
}

function engineOf(cluster: Cluster): Engine {
  const ranges: RangePlaces = new Map();
  const sessions = new LeaderSessions(cluster);
  const background = new Background(cluster, sessions);
  const moves = new Moves(cluster, ranges);
  const transfers = new Transfers({ cluster, ranges, moves });
  const parts = { cluster, sessions, ranges, moves, transfers };
  let stopped: Promise<void> | undefined;

  return {
    capabilities: CAPABILITIES,
    observe: async ({ signal }) => {
      cluster.notStopping();
      return orAborted(
        observeCluster(cluster, { moves, transfers }),
        signal,
        'observing the cluster',
      );
    },
    plan: (desired, observed) =>
      planSteps(
        cluster.register.placed(desired, (range) => transfers.making(range)),
        observed,
      ),
    planWanted,
    perform: async (step, desired, options = {}): Promise<StepOutcome> => {
      cluster.notStopping();
      const action = step.action as PostgresAction;
      return { kind: await performAction({ ...parts, desired, options }, action) };
    },
    changes: () => Promise.reject(noChanges()),
    adopt: (desired) => {
      cluster.notStopping();
      cluster.adopt(desired);
      background.start(desired.primaryGroup);
    },
    routes: () => routesOf(cluster, ranges),
    ...factsOf(cluster),
    noteActivity: () => {
      background.noteActivity();
    },
    skewClock: async (name, offsetMs) => {
      cluster.notStopping();
      cluster.node(name).clockOffsetMs = offsetMs;
      await applyRole(cluster, name);
    },
    stop: () => {
      stopped ??= (async () => {
        cluster.beginStop();
        await background.stop();
        await Promise.all([moves.ended(), transfers.ended()]);
        await stopServers(cluster);
      })();
      return stopped;
    },
    kill: () => {
      cluster.beginStop();
      for (const node of cluster.nodes.values()) node.process?.signal('SIGQUIT');
      void background.stop();
    },
    [Symbol.asyncDispose]() {
      return this.stop();
    },
  };
}

type Facts =
  'accountFacts' | 'accountsInGroups' | 'rangeFacts' | 'schemaFacts' | 'applicationCredentials';

/** What changes nothing, and needs nothing but the cluster. */
function factsOf(cluster: Cluster): Required<Pick<Engine, Facts>> {
  return {
    accountFacts: (accounts) => accountFacts(cluster, accounts),
    accountsInGroups: (groups, part) => accountsInGroups(cluster, groups, part),
    rangeFacts: () => rangeFacts(cluster),
    schemaFacts: (desired, statements) => schemaFacts(cluster, desired, statements),
    applicationCredentials: () => ({
      database: DATABASE,
      user: ROLE.application,
      password: cluster.server.secrets.application,
    }),
  };
}

function noChanges(): MeridianError {
  const message = 'this release of the postgres engine has no change stream';
  return new MeridianError('ERR_ENGINE_UNSUPPORTED', message);
}
