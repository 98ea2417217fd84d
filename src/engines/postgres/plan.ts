/**
 * Desired × observed → steps. Pure and total. Bringing a cluster up, cold or warm or after a crash
 * half-way, is the same function: what is there is not done again.
 *
 * The database can only be asked once it runs, so the migrations and ranges of a group that is not
 * open yet are planned as steps that look first and may find nothing to do.
 */
import type { MigrationFile } from '../../migrations/files.ts';
import type { GroupSpec, NodeSpec } from '../../topology/node.ts';
import type { DesiredState, EngineStep, WantedTransfer } from '../engine.ts';
import type {
  AppliedMigration,
  ClusterSnapshot,
  ObservedGroup,
  ObservedNode,
} from '../snapshot.ts';

export type PostgresAction =
  | { readonly kind: 'create-group'; readonly group: string }
  | { readonly kind: 'settle-group'; readonly group: string }
  | { readonly kind: 'start-node'; readonly node: string }
  | { readonly kind: 'open-group'; readonly group: string }
  | {
      readonly kind: 'rebuild-node';
      readonly node: string;
      /** Also when it is well. */
      readonly anyway?: boolean;
    }
  | { readonly kind: 'switchover'; readonly group: string; readonly to: string }
  | { readonly kind: 'recover-group'; readonly group: string }
  | { readonly kind: 'rehearse-migrations' }
  | { readonly kind: 'migrate-database'; readonly group: string }
  | { readonly kind: 'prepare-range'; readonly range: string; readonly group: string }
  | { readonly kind: 'subscribe-globals'; readonly group: string }
  | { readonly kind: 'move-range'; readonly range: string; readonly to: string }
  | { readonly kind: 'cancel-move'; readonly range: string }
  | { readonly kind: 'settle-move'; readonly range: string }
  | { readonly kind: 'transfer'; readonly wanted: WantedTransfer }
  | { readonly kind: 'cancel-transfer'; readonly number: string }
  | { readonly kind: 'drain-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'retire-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'restore-groups'; readonly groups: readonly string[] }
  | { readonly kind: 'forget-group'; readonly group: string; readonly primaryGroup: string }
  | { readonly kind: 'forget-node'; readonly node: string; readonly group: string };

interface Step extends EngineStep {
  readonly action: PostgresAction;
}

const REHEARSAL = 'rehearse-migrations';

export function planSteps(desired: DesiredState, observed: ClusterSnapshot): Step[] {
  const groups = desired.groups.flatMap((group) => groupSteps(group, observed));
  const schema = schemaSteps(desired, observed);
  const steps = [...groups, ...schema, ...forgetSteps(desired, observed)];
  // A step may name a predecessor that turned out not to be needed.
  const ids = new Set(steps.map((step) => step.id));
  return steps.map((step) => ({ ...step, after: step.after.filter((id) => ids.has(id)) }));
}

function groupSteps(group: GroupSpec, observed: ClusterSnapshot): Step[] {
  const seen = observed.groups[group.name];
  const settled = seen?.settled === true;
  const lost = group.nodes.filter((node) => observed.nodes[node.name]?.initialised !== true);
  const steps: Step[] = [];
  if (lost.length > 0 && !settled) {
    steps.push({
      id: `create-group:${group.name}`,
      summary: `create ${group.name}: ${String(group.nodes.length)} servers`,
      effect: 'data-movement',
      after: [],
      action: { kind: 'create-group', group: group.name },
    });
  }
  if (seen?.settled !== true) {
    steps.push({
      id: `settle-group:${group.name}`,
      summary: `wait until the files of ${group.name} are on disk`,
      effect: 'data-movement',
      after: [`create-group:${group.name}`],
      action: { kind: 'settle-group', group: group.name },
    });
  }
  // Of an open group those that are down have somebody who looks after them.
  const starts = group.nodes
    .filter((node) => seen?.open !== true && observed.nodes[node.name]?.running !== true)
    .filter((node) => !settled || isWhole(observed.nodes[node.name]))
    .map((node): Step => ({
      id: `start-node:${node.name}`,
      summary: `start ${node.name}`,
      effect: 'process',
      after: [`create-group:${group.name}`],
      action: { kind: 'start-node', node: node.name },
    }));
  steps.push(...starts);
  if (seen?.open !== true) {
    steps.push({
      id: `open-group:${group.name}`,
      summary: `open ${group.name} at its next epoch`,
      effect: 'role-change',
      after: starts.map((step) => step.id),
      action: { kind: 'open-group', group: group.name },
    });
  }
  if (!settled) return steps;
  const unfit = group.nodes.filter((node) => !isWhole(observed.nodes[node.name]));
  return [...steps, ...unfit.map((node) => rebuildStep(node, `open-group:${group.name}`))];
}

/** A copy that is lost or may not be used is made anew from another, once there is a leader. */
function rebuildStep(node: NodeSpec, after: string): Step {
  return {
    id: `rebuild-node:${node.name}`,
    summary: `clone ${node.name} from another copy`,
    effect: 'data-movement',
    after: [after],
    action: { kind: 'rebuild-node', node: node.name },
  };
}

function isWhole(node: ObservedNode | undefined): boolean {
  return node?.initialised === true && node.repair === undefined;
}

function schemaSteps(desired: DesiredState, observed: ClusterSnapshot): Step[] {
  const migrating = desired.groups
    .filter((group) => migrationsPending(observed.groups[group.name], desired.databaseMigrations))
    .map((group): Step => migrateStep(group.name, desired));
  const settling = (observed.unsettledMoves ?? []).map(({ range, from, to }): Step => ({
    id: `settle-move:${range}`,
    summary: `find out whether ${range} is in ${from} or in ${to}`,
    effect: 'metadata',
    after: [`open-group:${from}`, `open-group:${to}`],
    action: { kind: 'settle-move', range },
  }));
  const ranges = desired.ranges
    .filter((range) => {
      const seen = observed.ranges[range.name];
      return seen === undefined || pending(seen.migrations, desired.regionalMigrations);
    })
    .map((range, index, all): Step => ({
      id: `prepare-range:${range.name}`,
      summary: `prepare range ${range.name} in ${range.group}`,
      effect: 'lock',
      after: [
        ...[REHEARSAL, `open-group:${range.group}`, `migrate-database:${range.group}`],
        ...afterSettling(observed, range.name),
        ...oneByOne(observed, range.name, all[index - 1]?.name),
      ],
      action: { kind: 'prepare-range', range: range.name, group: range.group },
    }));
  const subscriptions = desired.groups
    .filter((group) => group.name !== desired.primaryGroup)
    .filter((group) => observed.groups[group.name]?.globals !== 'subscribed')
    .map((group): Step => ({
      id: `subscribe-globals:${group.name}`,
      summary: `replicate the global tables into ${group.name}`,
      effect: 'data-movement',
      after: [
        `open-group:${group.name}`,
        `migrate-database:${group.name}`,
        `migrate-database:${desired.primaryGroup}`,
      ],
      action: { kind: 'subscribe-globals', group: group.name },
    }));
  const rehearsal: Step[] =
    migrating.length + ranges.length === 0
      ? []
      : [
          {
            id: REHEARSAL,
            summary: 'rehearse the migrations and compare the schema with the declaration',
            effect: 'metadata',
            after: [`open-group:${desired.primaryGroup}`],
            action: { kind: 'rehearse-migrations' },
          },
        ];
  return [...rehearsal, ...migrating, ...settling, ...ranges, ...subscriptions];
}

/** What no declaration knows any more goes once the others are open: they keep slots for it. */
function forgetSteps({ primaryGroup }: DesiredState, { leftOut }: ClusterSnapshot): Step[] {
  const groups = (leftOut?.groups ?? []).map((group): Step => ({
    id: `forget-group:${group}`,
    summary: `remove ${group}, which nothing is in any more`,
    effect: 'metadata',
    after: [`open-group:${primaryGroup}`],
    action: { kind: 'forget-group', group, primaryGroup },
  }));
  const nodes = Object.entries(leftOut?.nodes ?? {}).map(([node, group]): Step => ({
    id: `forget-node:${node}`,
    summary: `remove ${node}`,
    effect: 'metadata',
    after: [`open-group:${group}`],
    action: { kind: 'forget-node', node, group },
  }));
  return [...groups, ...nodes];
}

/** It may turn out to be in the other group, whose database must be ready for it too. */
function afterSettling({ unsettledMoves = [] }: ClusterSnapshot, range: string): string[] {
  const move = unsettledMoves.find((one) => one.range === range);
  if (move === undefined) return [];
  return [
    `settle-move:${range}`,
    ...[move.from, move.to].map((group) => `migrate-database:${group}`),
  ];
}

/**
 * Ranges that are in use are migrated one after another, so that a migration that fails has failed in
 * one of them, and those behind it are as they were. Empty ones are made side by side.
 */
function oneByOne(observed: ClusterSnapshot, range: string, before: string | undefined): string[] {
  const inUse = observed.ranges[range] !== undefined;
  return inUse && before !== undefined ? [`prepare-range:${before}`] : [];
}

/**
 * The primary's tables come first: a subscriber's publication must know every table that the
 * subscriber has.
 */
function migrateStep(group: string, desired: DesiredState): Step {
  const primaryFirst =
    group === desired.primaryGroup ? [] : [`migrate-database:${desired.primaryGroup}`];
  return {
    id: `migrate-database:${group}`,
    summary: `migrate the database of ${group}`,
    effect: 'lock',
    after: [REHEARSAL, `open-group:${group}`, ...primaryFirst],
    action: { kind: 'migrate-database', group },
  };
}

function migrationsPending(
  group: ObservedGroup | undefined,
  files: readonly MigrationFile[],
): boolean {
  return group?.open !== true || pending(group.databaseMigrations, files);
}

function pending(applied: readonly AppliedMigration[], files: readonly MigrationFile[]): boolean {
  return files.some(
    (file) => !applied.some((one) => one.name === file.name && one.checksum === file.checksum),
  );
}
