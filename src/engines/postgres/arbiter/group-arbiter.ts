/** What others see of a group's machine: a contract, so that the cluster need not know who runs it. */
import type { Wakeup } from '../../../kernel/wakeup.ts';
import type { NodeName } from '../../../topology/node.ts';
import type { GroupOperation, LeaderChange } from '../../snapshot.ts';
import type { GroupPhase } from './group-machine.ts';

export interface GroupArbiter {
  /** Rung when there may be something to do. */
  readonly bell: Wakeup;
  /** What the machine does now. */
  readonly phase: GroupPhase;
  /** Undefined while the group is open and nothing is asked of it. */
  readonly operation: GroupOperation | undefined;
  readonly lastChange: LeaderChange | undefined;
  /** How often the leader was changed or restarted, by cause. */
  readonly changes: ReadonlyMap<string, number>;
  /** Resolves once the group is open for the first time; rejects when the start is given up. */
  start(): Promise<void>;
  /** After the engine began to stop: resolves when nothing is under way any more. */
  ended(): Promise<void>;
  /** Resolves when `to` leads and the group is open; rejects with why it does not. */
  switchTo(to: NodeName, onPhase: (phase: string) => void): Promise<void>;
  /** Elects from what is left; see recovery.ts. */
  recover(): Promise<void>;
}
