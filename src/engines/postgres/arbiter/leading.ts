/** What a group's machine knows while it runs: the phases' effects read it, and note what they find. */
import type { MeridianError } from '../../../kernel/errors.ts';
import type { Wakeup } from '../../../kernel/wakeup.ts';
import type { NodeName } from '../../../topology/node.ts';
import type { LeaderChange } from '../../snapshot.ts';
import type { Cluster } from '../cluster.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import type { LeaderSessions } from '../leader-session.ts';
import type { GroupPhase } from './group-machine.ts';

export interface ArbiterServices {
  readonly cluster: Cluster;
  readonly sessions: LeaderSessions;
}

/** A planned change that somebody waits for. */
export interface Switchover {
  readonly to: NodeName;
  readonly onPhase: (phase: string) => void;
  readonly finish: (failure: MeridianError | undefined) => void;
  /** Who votes once `to` leads; decided when the change is prepared. */
  voters: ReadonlySet<NodeName> | undefined;
}

/** A recovery by force that somebody waits for. */
export interface Recovery {
  readonly finish: (failure: MeridianError | undefined) => void;
}

export interface Leading {
  readonly services: ArbiterServices;
  readonly group: ClusterGroup;
  readonly bell: Wakeup;
  readonly phase: GroupPhase;
  /** Why the leader is being changed or brought back: 'started', 'died', 'silent', 'isolated', … */
  cause: string;
  /** For a person: what the phase waits for. */
  detail: string;
  /** When what is going on was noticed. */
  readonly noticedAtMs: number;
  /** Who led before, until the group is open again. */
  readonly previous: NodeName | undefined;
  readonly switchover: Switchover | undefined;
  readonly recovery: Recovery | undefined;
  lastChange: LeaderChange | undefined;
  readonly changes: Map<string, number>;
  /** The last failure that came in the way of opening. */
  failure: MeridianError | undefined;
  /**
   * What waits for servers are multiplied by: 1, and twice as much after each round that led nowhere, up
   * to PATIENCE_MAX. On a machine that is short of processor time waits that are always cut short at the
   * same point would keep the group closed for as long as the shortage lasts, and add to it.
   */
  readonly patience: number;
  /** Nobody could be elected, and that has not changed since: true in the tries in between, too. */
  readonly quorumLost: boolean;
}
