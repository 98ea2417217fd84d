/** What a group's machine is doing, in words for status. Pure but for the reading of the cluster. */
import type { GroupOperation } from '../../snapshot.ts';
import type { Cluster } from '../cluster.ts';
import type { Leading } from './leading.ts';

export function operationOf(of: Leading, cluster: Cluster): GroupOperation | undefined {
  const { phase, cause, group, detail } = of;
  if (phase === 'open') return undefined;
  const { clock } = cluster.services;
  const sinceMs = Math.round(clock.monotonicMs() - of.noticedAtMs);
  const shared = { phase, cause, sinceMs };
  const voters = [...group.voters];
  const there = voters.filter((name) => cluster.reaches(name) && cluster.runs(name));
  if (of.quorumLost && there.length === 0) {
    return {
      ...shared,
      kind: 'region-lost',
      detail: `none of its voters can be reached: ${voters.join(', ')}`,
    };
  }
  if (of.quorumLost) return { ...shared, kind: 'no-quorum', detail };
  if (of.switchover !== undefined) {
    return { ...shared, kind: 'switchover', detail: `to ${of.switchover.to}` };
  }
  const succeeded = group.leader !== of.previous || phase === 'fencing';
  return { ...shared, kind: succeeded ? 'failover' : 'restart', detail };
}
