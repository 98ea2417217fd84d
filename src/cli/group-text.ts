/** Who leads each group, by what right, and what is being done to it, as a person reads it. Pure. */
import type {
  GroupStatus,
  LeaderChangeStatus,
  MoveStatus,
  NodeStatus,
  TransferStatus,
} from '../control/status.ts';
import { formatDuration } from './duration.ts';
import { formatBytes, formatTable, type Column } from './output.ts';

const LEASES: readonly Column<GroupStatus>[] = [
  { title: 'LEASES', text: (group) => group.name },
  { title: 'HOLDER', text: ({ lease }) => lease?.holder ?? '(none)' },
  { title: 'TENURE', align: 'right', text: ({ lease }) => duration(lease?.tenureMs) },
  { title: 'REMAINING', align: 'right', text: ({ lease }) => remaining(lease?.remainingMs) },
  { title: 'EPOCH', align: 'right', text: (group) => String(group.epoch) },
  { title: 'CHANGES', align: 'right', text: ({ leaderChanges }) => String(changes(leaderChanges)) },
  { title: 'LAST CHANGE', text: ({ lastChange }) => change(lastChange) },
];

/** Nothing where the engine has no leases and no leader has changed. */
export function leaseLines(groups: readonly GroupStatus[]): string[] {
  const told = groups.some(({ lease, lastChange }) => lease !== null || lastChange !== null);
  return told ? formatTable(groups, LEASES) : [];
}

/**
 * For each group that something is done to, that waits or is not at home; each move and transfer; each
 * replica under repair.
 */
export function underWayLines(
  groups: readonly GroupStatus[],
  nodes: readonly NodeStatus[],
  transfers: readonly TransferStatus[] = [],
): string[] {
  return [
    ...groups.flatMap(operationLines),
    ...groups.flatMap(recoveredLines),
    ...groups.flatMap(({ moves }) => moves.flatMap(moveLines)),
    ...transfers.flatMap(transferLines),
    ...nodes.flatMap(repairLine),
  ];
}

function recoveredLines({ name, recoveredVoters }: GroupStatus): string[] {
  if (recoveredVoters === null) return [];
  const { names, command } = recoveredVoters;
  return [
    `${name} was recovered by force: not its declared voters confirm its commits but ${names.join(', ')}`,
    `  to bring it home, once its declared voters are streaming again: ${command}`,
  ];
}

function moveLines(move: MoveStatus): string[] {
  const { range, from, to, phase, attempt, doneBytes, detail } = move;
  const copied = phase === 'copying' && doneBytes > 0 ? `, ${progressText(move)}` : '';
  const again = attempt > 1 ? `, attempt ${String(attempt)}` : '';
  return [
    `${range}: moving from ${from} to ${to}, ${phase}${copied}${again}, for ${formatDuration(move.forMs)}`,
    ...(detail === '' ? [] : [`  the last attempt failed: ${detail}`]),
  ];
}

function transferLines(transfer: TransferStatus): string[] {
  const { number, kind, what, phase, cancelled, detail } = transfer;
  const how = cancelled ? `${kind}, cancelled` : kind;
  return [
    `transfer ${number} (${how}): ${accountsText(transfer)} ${what}, ${phase}, for ${formatDuration(transfer.forMs)}`,
    ...(detail === '' ? [] : [`  the last try failed: ${detail}`]),
  ];
}

/** "120 of 500 accounts" */
export function accountsText(progress: {
  readonly doneAccounts: number;
  readonly totalAccounts: number;
}): string {
  return `${String(progress.doneAccounts)} of ${String(progress.totalAccounts)} accounts`;
}

function operationLines({ name, operation }: GroupStatus): string[] {
  if (operation === null) return [];
  const { kind, phase, cause, detail, decision } = operation;
  const why = cause === '' ? '' : ` (${causeText(cause)})`;
  const rest = `for ${formatDuration(operation.forMs)}${detail === '' ? '' : `: ${detail}`}`;
  switch (kind) {
    case 'no-quorum':
      return [`no quorum in ${name}${why}, ${rest}`];
    case 'region-lost':
      return [
        `region lost with the quorum of ${name}${why}, ${rest}`,
        ...(decision === null
          ? []
          : [`  to open it without waiting: ${decision.command}`, `  ${decision.mayLose}`]),
      ];
    default:
      return [`${name}: ${kind}${phase === '' ? '' : `, ${phase}`}${why}, ${rest}`];
  }
}

function repairLine({ name, repair }: NodeStatus): string[] {
  if (repair === null) return [];
  const since = `for ${formatDuration(repair.forMs)}`;
  if (repair.phase === 'lost') {
    return [`${name}: its data may not be used; waits to be rebuilt, ${since}`];
  }
  const copied = repair.doneBytes === 0 ? '' : `, ${progressText(repair)}`;
  return [`${name}: rebuilding, ${repair.phase}${copied}, ${since}`];
}

/** "12.0 MiB of 25.0 MiB (48 %)" */
export function progressText(progress: {
  readonly doneBytes: number;
  readonly totalBytes: number | null;
}): string {
  const { doneBytes, totalBytes } = progress;
  if (totalBytes === null || totalBytes <= 0) return formatBytes(doneBytes);
  // What is being copied may grow meanwhile.
  const percent = Math.min(100, Math.floor((doneBytes / totalBytes) * 100));
  return `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${String(percent)} %)`;
}

/** Other words are shown as they are. */
const CAUSES: Readonly<Record<string, string>> = {
  died: 'leader died',
  silent: 'leader silent',
  isolated: 'leader isolated',
  switchover: 'planned',
};

function causeText(cause: string): string {
  return Object.hasOwn(CAUSES, cause) ? (CAUSES[cause] ?? cause) : cause;
}

function change(last: LeaderChangeStatus | null): string {
  if (last === null) return '-';
  const { from, to } = last;
  const who = from === null || from === to ? to : `${from} → ${to}`;
  const took = `took ${formatDuration(last.tookMs)}`;
  return `${causeText(last.cause)}: ${who}, ${took}, ${formatDuration(last.agoMs)} ago`;
}

function duration(ms: number | undefined): string {
  return ms === undefined ? '-' : formatDuration(ms);
}

function remaining(ms: number | undefined): string {
  return ms === 0 ? 'run out' : duration(ms);
}

/** The first opening of a group is none. */
function changes(counts: Readonly<Record<string, number>>): number {
  return Object.entries(counts).reduce(
    (total, [cause, count]) => total + (cause === 'started' ? 0 : count),
    0,
  );
}
