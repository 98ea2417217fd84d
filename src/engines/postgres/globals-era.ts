/**
 * When a copy of the global tables can still be believed. A failover of the publisher loses the slot
 * that the subscriber follows; one of the subscriber may lose rows that it has confirmed, for apply does
 * not wait for the quorum. Either leaves a copy that looks healthy and lacks rows. So each group counts
 * its eras, a copy is whole for one pair of them, and only a comparison with the publisher
 * (globals-merge.ts) makes it whole for the next. Both are stored: a supervisor that dies in between
 * compares at its next start. A restart in place keeps slot and origin on disk, and begins no era.
 */
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';
import { subscriptionName } from './observe.ts';

type Eras = Pick<ClusterGroup, 'globalsEra'>;

/** Of the pair of eras in which a copy is, or has to be, whole. */
export function eraOf(publisher: Eras, subscriber: Eras): string {
  return `${String(publisher.globalsEra)}/${String(subscriber.globalsEra)}`;
}

/** What was written before there were eras is of the first. */
export function isWhole(
  publisher: Eras,
  subscriber: Eras & Pick<ClusterGroup, 'globalsFor'>,
): boolean {
  return (subscriber.globalsFor ?? '0/0') === eraOf(publisher, subscriber);
}

/**
 * After a planned change of the subscriber's leader, which loses nothing: the copies that depend on the
 * group are given their new addresses by the keeper, and nothing is compared.
 */
export function repointGlobals(cluster: Cluster, name: string): void {
  const group = cluster.group(name);
  const concerned = group.globals === 'publisher' ? [...cluster.groups.values()] : [group];
  for (const one of concerned) if (one.globals === 'subscribed') one.globals = 'none';
}

/** A slot of its own for each pair: who follows the last one (a leader of before) finds nothing. */
export function slotOfEra(group: string, era: string): string {
  return `${subscriptionName(group)}__e${era.replace('/', '_')}`;
}
