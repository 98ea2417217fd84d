/** One status report from one snapshot and the processes' own states. Pure. */
import type { RehomingStatus } from '../control/placement.ts';
import type { ChaosFault } from '../control/chaos.ts';
import type {
  DrainStatus,
  GroupStatus,
  LeaderChangeStatus,
  MoveStatus,
  NodeStatus,
  OperationStatus,
  ProcessStatus,
  RecoveredVoters,
  RepairStatus,
  StatusReport,
} from '../control/status.ts';
import type {
  ClusterSnapshot,
  ObservedGroup,
  ObservedNode,
  ObservedRange,
} from '../engines/snapshot.ts';
import type { GroupSpec } from '../topology/node.ts';
import { residencyOf } from '../topology/residency.ts';
import type { Region } from '../topology/region.ts';
import { acceptCommand, possibleLoss } from './possible-loss.ts';

export interface StatusSources {
  readonly installation: string;
  readonly engine: string;
  readonly survive: string;
  readonly primaryRegion: string;
  readonly startedAtMs: number;
  readonly supervisorPid: number;
  readonly regions: readonly Region[];
  readonly groups: readonly GroupSpec[];
  readonly snapshot: ClusterSnapshot;
  readonly gateways: readonly ProcessStatus[];
  readonly appServers: readonly ProcessStatus[];
  readonly faults: readonly ChaosFault[];
  readonly drains: readonly DrainStatus[];
  readonly rehoming: RehomingStatus;
}

/** A follower further behind than this is catching up rather than streaming along. */
const CATCHING_UP_BYTES = 1024 * 1024;

export function statusReport(sources: StatusSources): StatusReport {
  const { snapshot } = sources;
  return {
    installation: sources.installation,
    engine: sources.engine,
    survive: sources.survive,
    primaryRegion: sources.primaryRegion,
    startedAt: new Date(sources.startedAtMs).toISOString(),
    regions: sources.regions,
    groups: sources.groups.map((group) => groupStatus(group, snapshot)),
    nodes: sources.groups.flatMap((group) =>
      group.nodes.map((spec): NodeStatus => {
        const seen = snapshot.nodes[spec.name];
        return {
          name: spec.name,
          group: spec.group,
          kind: spec.kind,
          region: spec.locality.region,
          zone: spec.locality.zone,
          state: stateOf(seen),
          pid: seen?.pid ?? null,
          port: seen?.port ?? 0,
          position: typeof seen?.position === 'bigint' ? formatPosition(seen.position) : null,
          lagBytes: seen?.role === 'leader' ? 0 : (seen?.lagBytes ?? null),
          lagMs: seen?.role === 'leader' ? 0 : rounded(seen?.lagMs ?? null),
          repair: repairOf(seen),
        };
      }),
    ),
    gateways: sources.gateways,
    appServers: sources.appServers,
    transfers: (snapshot.transfers ?? []).map(({ sinceMs, ...told }) => ({
      ...told,
      forMs: Math.round(sinceMs),
    })),
    drains: sources.drains,
    rehoming: sources.rehoming,
    faults: sources.faults,
    supervisorPid: sources.supervisorPid,
  };
}

function groupStatus(group: GroupSpec, snapshot: ClusterSnapshot): GroupStatus {
  const seen = snapshot.groups[group.name];
  return {
    name: group.name,
    homeRegion: group.homeRegion,
    residency: residencyOf(group),
    epoch: seen?.epoch ?? 0,
    leader: seen?.leader ?? null,
    ranges: Object.values(snapshot.ranges)
      .filter((range) => range.group === group.name)
      .map((range) => range.name),
    moves: Object.values(snapshot.ranges)
      .filter((range) => range.group === group.name)
      .flatMap(moveOf),
    accounts: seen?.accounts ?? null,
    globalLagBytes: seen?.globalLagBytes ?? null,
    inDoubt: seen?.inDoubt ?? null,
    operation: operationOf(group, snapshot),
    lease: seen?.lease ?? null,
    lastChange: lastChangeOf(seen, snapshot.atMs),
    leaderChanges: seen?.leaderChanges ?? {},
    recoveredVoters: recoveredVotersOf(group, seen),
  };
}

function recoveredVotersOf(
  group: GroupSpec,
  seen: ObservedGroup | undefined,
): RecoveredVoters | null {
  if (seen?.recoveredVoters === undefined) return null;
  const atHome = group.nodes.some(
    ({ name, kind, locality }) =>
      kind === 'voter' && locality.region === group.homeRegion && name !== seen.leader,
  );
  const place = atHome ? ` --region ${group.homeRegion}` : '';
  return { names: seen.recoveredVoters, command: `meridian switchover ${group.name}${place}` };
}

function moveOf({ name, move }: ObservedRange): MoveStatus[] {
  if (move === undefined) return [];
  const { from, to, phase, attempt, doneBytes, totalBytes, detail, sinceMs } = move;
  const bytes = { doneBytes, totalBytes: totalBytes === 0 ? null : totalBytes };
  return [{ range: name, from, to, phase, attempt, ...bytes, detail, forMs: Math.round(sinceMs) }];
}

function operationOf(group: GroupSpec, snapshot: ClusterSnapshot): OperationStatus | null {
  const operation = snapshot.groups[group.name]?.operation;
  if (operation === undefined) return null;
  const { kind, phase, cause, detail, sinceMs } = operation;
  const decision =
    kind === 'region-lost'
      ? { command: acceptCommand(group.name), mayLose: possibleLoss(group, snapshot) }
      : null;
  return { kind, phase, cause, detail, forMs: Math.round(sinceMs), decision };
}

function lastChangeOf(seen: ObservedGroup | undefined, nowMs: number): LeaderChangeStatus | null {
  if (seen?.lastChange === undefined) return null;
  const { cause, from, to, epoch, atMs, tookMs } = seen.lastChange;
  return {
    ...{ cause, from, to, epoch },
    at: new Date(atMs).toISOString(),
    // A wall clock may be set back.
    agoMs: Math.max(0, Math.round(nowMs - atMs)),
    tookMs: Math.round(tookMs),
  };
}

function repairOf(seen: ObservedNode | undefined): RepairStatus | null {
  if (seen?.repair === undefined) return null;
  const { phase, doneBytes, totalBytes, sinceMs } = seen.repair;
  return { phase, doneBytes, totalBytes, forMs: Math.round(sinceMs) };
}

function stateOf(seen: ObservedNode | undefined): NodeStatus['state'] {
  // Known of its data, whether it answers or not.
  if (seen?.repair !== undefined) return seen.repair.phase === 'lost' ? 'lost' : 'rebuilding';
  if (seen === undefined || seen.role === 'unknown') return 'unknown';
  if (seen.role === 'down') return 'down';
  if (seen.role === 'leader') return 'leader';
  const behind = seen.lagBytes ?? 0;
  return seen.streaming && behind < CATCHING_UP_BYTES ? 'streaming' : 'catching-up';
}

/** PostgreSQL writes an LSN as two hexadecimal halves (docs, 8.20). */
function formatPosition(position: bigint): string {
  return `${(position >> 32n).toString(16).toUpperCase()}/${(position & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

const rounded = (value: number | null): number | null =>
  value === null ? null : Math.round(value);
