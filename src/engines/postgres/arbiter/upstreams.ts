/**
 * Whom each follower streams from. Pure.
 *
 * Voters follow the leader. Non-voters follow a voting follower, never the leader: what they have, a
 * voter has, so they cannot run ahead of the next leader and fork (docs/decisions/0004). They stay
 * where they are while that is allowed, since each move costs a reconnection, and spread over the
 * voting followers otherwise. With no voting follower left they wait: the leader has no quorum then.
 */
import type { GroupSpec, NodeName } from '../../../topology/node.ts';

export interface UpstreamFacts {
  readonly spec: GroupSpec;
  readonly leader: NodeName;
  /** The voters of now: those that are declared, but for a group that was recovered by force. */
  readonly voters: ReadonlySet<NodeName>;
  /** Nobody may stream from these: their data may not be used, or they do not run. */
  readonly unfit: ReadonlySet<NodeName>;
  readonly current: ReadonlyMap<NodeName, NodeName>;
}

export function chooseUpstreams(facts: UpstreamFacts): Map<NodeName, NodeName> {
  const { spec, leader, voters, unfit, current } = facts;
  const names = spec.nodes.map((node) => node.name).filter((name) => name !== leader);
  const followers = names.filter((name) => voters.has(name));
  const fit = followers.filter((name) => !unfit.has(name));
  // Somebody must be named, also while nobody is fit: it is where they will stream from.
  const hosts = fit.length > 0 ? fit : followers;
  const chosen = new Map(followers.map((name) => [name, leader]));
  const load = new Map(hosts.map((name) => [name, 0]));
  const take = (name: NodeName, host: NodeName): void => {
    chosen.set(name, host);
    load.set(host, (load.get(host) ?? 0) + 1);
  };
  const moving = names.filter((name) => {
    if (voters.has(name)) return false;
    const host = current.get(name);
    if (host === undefined || !load.has(host)) return true;
    take(name, host);
    return false;
  });
  for (const name of moving) {
    const [host] = [...load].sort(([, a], [, b]) => a - b)[0] ?? [leader];
    take(name, host);
  }
  return chosen;
}
