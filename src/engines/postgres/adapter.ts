/**
 * The embedded engine: PostgreSQL replication groups on one machine, behind the engine port.
 *
 *   plan.ts decides · nodes.ts, opening.ts, migrating.ts, globals.ts do · observe.ts looks
 *   connector.ts and transaction.ts are the data side
 */
import { unreachable } from '../../kernel/assert.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type {
  DesiredState,
  Engine,
  EngineAdapter,
  EngineServices,
  StepOutcome,
} from '../engine.ts';
import type { EngineCapabilities } from '../capabilities.ts';
import { serverAccount } from './account.ts';
import { withAdmin } from './admin.ts';
import { locateBinaries } from './binaries.ts';
import { Cluster } from './cluster.ts';
import { createConnector } from './connector.ts';
import { subscribeGlobals } from './globals.ts';
import { startHeartbeats, type Heartbeats } from './heartbeat.ts';
import { initialiseGroup, settleGroup } from './initialise.ts';
import { applyMigrations, databaseTarget, ensureRange, rangeTarget } from './migrating.ts';
import { startNode } from './nodes.ts';
import { observeCluster } from './observe.ts';
import { openGroup } from './opening.ts';
import type { PostgresOptions } from './options.ts';
import { planSteps, type PostgresAction } from './plan.ts';
import { rehearse } from './rehearsal.ts';
import { DATABASE, ROLE } from './roles.ts';
import { routesOf, type RangePlaces } from './routes.ts';
import { loadSecrets } from './secrets.ts';
import { stopServers } from './stopping.ts';
import { prepareStorage, removeStorage } from './storage.ts';

const CAPABILITIES: EngineCapabilities = {
  lifecycle: 'managed',
  failover: 'none',
  survivalGoals: ['zone'],
  localities: ['global', 'regional'],
  localityMechanism: 'emulated',
  rehome: 'none',
  followerReads: ['bounded', 'at-least'],
  crossGroupTransactions: false,
  positionKind: 'lsn',
  changeOrder: 'none',
  transactionalDdl: true,
};

export const postgresAdapter: EngineAdapter<PostgresOptions> = {
  name: 'postgres',
  capabilities: CAPABILITIES,
  open: openEngine,
  discard: removeStorage,
  connector: createConnector,
};

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
  return engineOf(new Cluster(server, services));
}

function engineOf(cluster: Cluster): Engine {
  const ranges: RangePlaces = new Map();
  let heartbeats: Heartbeats | undefined;
  let stopped: Promise<void> | undefined;

  const perform = async (action: PostgresAction, desired: DesiredState): Promise<string> => {
    cluster.notStopping();
    switch (action.kind) {
      case 'create-group':
        await initialiseGroup(cluster.server, cluster.group(action.group).spec);
        return 'done';
      case 'settle-group':
        await settleGroup(cluster.server, cluster.group(action.group).spec);
        await cluster.settle(action.group);
        return 'done';
      case 'start-node':
        return startNode(cluster, action.node);
      case 'open-group':
        return openGroup(cluster, action.group);
      case 'rehearse-migrations':
        await onLeader(cluster, desired.primaryGroup, (client) => rehearse(client, desired));
        return 'done';
      case 'migrate-database':
        await onLeader(cluster, action.group, (client) =>
          applyMigrations(client, databaseTarget(action.group), desired.databaseMigrations),
        );
        return 'done';
      case 'prepare-range':
        await onLeader(cluster, action.group, async (client) => {
          await ensureRange(client, action.range);
          await applyMigrations(client, rangeTarget(action.range), desired.regionalMigrations);
          const row = await client.query<{ epoch: string }>(
            'SELECT epoch FROM meridian.range WHERE name = $1',
            [action.range],
          );
          ranges.set(action.range, { group: action.group, epoch: Number(row.rows[0]?.epoch) });
        });
        cluster.services.onRoutes();
        return 'done';
      case 'subscribe-globals':
        return subscribeGlobals(cluster, {
          group: action.group,
          primaryGroup: desired.primaryGroup,
        });
      default:
        return unreachable(action);
    }
  };

  return {
    capabilities: CAPABILITIES,
    observe: () => observeCluster(cluster),
    plan: (desired, observed) => planSteps(desired, observed),
    perform: async (step, desired): Promise<StepOutcome> => {
      const outcome = await perform(step.action as PostgresAction, desired);
      return { kind: outcome === 'already-done' ? 'already-done' : 'done' };
    },
    // eslint-disable-next-line @typescript-eslint/require-await -- the port is asynchronous
    changes: async () => {
      throw new MeridianError(
        'ERR_ENGINE_UNSUPPORTED',
        'this release of the postgres engine has no change stream',
      );
    },
    adopt: (desired) => {
      cluster.adopt(desired.groups, desired.primaryGroup);
      heartbeats ??= startHeartbeats(cluster);
    },
    routes: () => routesOf(cluster, ranges),
    applicationCredentials: () => ({
      database: DATABASE,
      user: ROLE.application,
      password: cluster.server.secrets.application,
    }),
    noteActivity: () => heartbeats?.noteActivity(),
    stop: () => {
      stopped ??= (async () => {
        cluster.stopping = true;
        await heartbeats?.stop();
        await stopServers(cluster);
      })();
      return stopped;
    },
    kill: () => {
      cluster.stopping = true;
      for (const node of cluster.nodes.values()) node.process?.signal('SIGQUIT');
    },
    [Symbol.asyncDispose]() {
      return this.stop();
    },
  };
}

function onLeader<T>(
  cluster: Cluster,
  group: string,
  run: Parameters<typeof withAdmin<T>>[1],
): Promise<T> {
  return withAdmin(cluster.admin(cluster.group(group).leader), run);
}
