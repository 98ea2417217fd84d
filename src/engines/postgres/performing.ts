/**
 * Performs one step of a plan. Each looks first and finds little to do when it was done before, so any
 * may be repeated after a crash in its middle.
 */
import type pg from 'pg';
import { present, unreachable } from '../../kernel/assert.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { DesiredState, PerformOptions, StepOutcome } from '../engine.ts';
import { withAdmin } from './admin.ts';
import type { Cluster } from './cluster.ts';
import { fenceOf } from './fence-rules.ts';
import { subscribeGlobals } from './globals.ts';
import { forgetGroup, forgetNode } from './forgetting.ts';
import { initialiseGroup, settleGroup } from './initialise.ts';
import { applyMigrations, databaseTarget, ensureRange, rangeTarget } from './migrating.ts';
import type { LeaderSessions } from './leader-session.ts';
import { startNode } from './nodes.ts';
import { openLeadership, rebuildNode, recoverGroup, switchOver } from './operating.ts';
import { patiently } from './patience.ts';
import type { PostgresAction } from './plan.ts';
import { checkResidency } from './ranges/pinned.ts';
import { rehearse } from './rehearsal.ts';
import { drainGroups, restoreGroups, retireGroups } from './ranges/draining.ts';
import type { Moves } from './ranges/moves.ts';
import type { Transfers } from './ranges/transfers.ts';
import type { RangePlaces } from './routes.ts';
import { stopStray } from './stray-server.ts';

export interface Performing {
  readonly cluster: Cluster;
  readonly sessions: LeaderSessions;
  readonly ranges: RangePlaces;
  readonly moves: Moves;
  readonly transfers: Transfers;
  readonly desired: DesiredState;
  readonly options: PerformOptions;
}

export async function performAction(
  on: Performing,
  action: PostgresAction,
): Promise<StepOutcome['kind']> {
  const { cluster, desired } = on;
  switch (action.kind) {
    case 'create-group':
      return createGroup(cluster, action.group);
    case 'settle-group':
      await settleGroup(cluster.server, cluster.group(action.group).spec);
      await cluster.settle(action.group);
      return 'done';
    case 'start-node':
      return startNode(cluster, action.node);
    case 'open-group':
      return openLeadership(on, action.group);
    case 'rebuild-node':
      return rebuildNode(on, action);
    case 'switchover':
      return switchOver(on, action);
    case 'recover-group':
      return recoverGroup(on, action.group);
    case 'rehearse-migrations':
      await onLeader(cluster, desired.primaryGroup, (client) =>
        patiently(cluster.services, () => rehearse(client, desired)),
      );
      return 'done';
    case 'migrate-database':
      await migrateDatabase(on, action.group);
      return 'done';
    case 'prepare-range':
      await prepareRange(on, action);
      return 'done';
    case 'subscribe-globals':
      return subscribeGlobals(cluster, { group: action.group, primaryGroup: desired.primaryGroup });
    case 'move-range':
      notUsed(on.transfers, action.range);
      checkResidency(cluster, action.range, {
        from: cluster.register.placeOf(action.range) ?? action.to,
        to: action.to,
      });
      return on.moves.move(action.range, action.to, on.options);
    case 'cancel-move':
      return on.moves.cancel(action.range);
    case 'settle-move':
      return on.moves.settle(action.range);
    case 'transfer':
      return on.transfers.transfer(action.wanted, on.options);
    case 'cancel-transfer':
      return on.transfers.cancel(action.number);
    case 'drain-groups':
      await drainGroups(cluster, action.groups);
      return 'done';
    case 'retire-groups':
      await retireGroups(cluster, action.groups);
      return 'done';
    case 'restore-groups':
      await restoreGroups(cluster, action.groups);
      return 'done';
    case 'forget-group':
      return forgetGroup(cluster, action);
    case 'forget-node':
      return forgetNode(cluster, action);
    default:
      return unreachable(action);
  }
}

/** Its accounts would have nowhere to go on to, or back. */
function notUsed(transfers: Transfers, range: string): void {
  if (!transfers.running(range)) return;
  throw new MeridianError(
    'ERR_OPERATION_REFUSED',
    `accounts are on their way from or to ${range}: it is moved when they have arrived`,
    { remedy: 'Move it then; `meridian status` shows how far they are.' },
  );
}

/**
 * Begins with empty directories, so never once data may be in them: a plan of long ago is performed in
 * vain. Servers that a killed start left in half-made directories go before the directories do.
 */
async function createGroup(cluster: Cluster, name: string): Promise<StepOutcome['kind']> {
  const { spec, settled } = cluster.group(name);
  if (settled || spec.nodes.some((node) => cluster.node(node.name).process !== undefined)) {
    return 'already-done';
  }
  await Promise.all(spec.nodes.map((node) => stopStray(cluster.server, node.name)));
  await initialiseGroup(cluster.server, spec);
  return 'done';
}

async function migrateDatabase({ cluster, desired }: Performing, group: string): Promise<void> {
  const ran = await onLeader(cluster, group, (client) =>
    applyMigrations(client, databaseTarget(group, fenceOf(desired)), {
      files: desired.databaseMigrations,
      services: cluster.services,
    }),
  );
  const { primaryGroup } = desired;
  // The subscriber learns of new global tables when it is told to look.
  if (ran > 0 && cluster.group(group).globals === 'subscribed') {
    cluster.group(group).globals = 'none';
    await subscribeGlobals(cluster, { group, primaryGroup });
  }
}

async function prepareRange(
  on: Performing,
  planned: { readonly range: string; readonly group: string },
): Promise<void> {
  const { cluster, moves, transfers, desired } = on;
  const { range } = planned;
  if (transfers.running(range)) {
    throw new MeridianError(
      'ERR_OPERATION_REFUSED',
      `accounts are on their way from or to ${range}: its migrations wait for that`,
      { remedy: 'Migrate again when they have arrived; `meridian status` shows it.' },
    );
  }
  const underWay = moves.of(range);
  // One of an earlier life has been settled, and begins anew after this.
  if (underWay !== undefined && !moves.waits(range)) {
    throw new MeridianError(
      'ERR_OPERATION_REFUSED',
      `${range} is on its way to ${underWay.to}: its migrations wait for that`,
      { remedy: 'Migrate again when the move has ended; `meridian status` shows it.' },
    );
  }
  cluster.migrating.add(range);
  try {
    await migrateRange(on, range, cluster.register.placeOf(range) ?? planned.group);
  } finally {
    cluster.migrating.delete(range);
  }
  const { regionalMigrations, tables, tenantFence } = desired;
  cluster.regional = { regionalMigrations, tables, tenantFence };
  cluster.services.onRoutes();
  moves.resume(range);
  transfers.resume();
}

async function migrateRange(on: Performing, range: string, group: string): Promise<void> {
  const { cluster, ranges, desired } = on;
  await cluster.register.placeRange(range, group);
  await onLeader(cluster, group, async (client) => {
    await ensureRange(client, range);
    await applyMigrations(client, rangeTarget(range, fenceOf(desired)), {
      files: desired.regionalMigrations,
      services: cluster.services,
    });
    const { rows } = await client.query<{ epoch: string; origins: string }>(
      'SELECT epoch, origins FROM meridian.range WHERE name = $1',
      [range],
    );
    const row = present(rows[0], `the row of ${range}`);
    const origins = row.origins === '' ? undefined : row.origins;
    const made = cluster.register.isOrphan(range, desired) ? true : undefined;
    ranges.set(range, { group, epoch: Number(row.epoch), origins, made });
  });
}

function onLeader<T>(
  cluster: Cluster,
  group: string,
  run: (client: pg.Client) => Promise<T>,
): Promise<T> {
  return withAdmin(cluster.admin(cluster.group(group).leader), run);
}
