/**
 * What each phase of a group's machine does, and which event it ends in when it throws. Registry of
 * the phases' files.
 */
import type { GroupEvent, GroupPhase } from './group-machine.ts';
import type { Leading } from './leading.ts';
import { fenceAndElect, restartLeader, waitForQuorum } from './failover.ts';
import { promoteLeader } from './promotion.ts';
import { closeGroup, prepareSwitchover, stopLeader } from './switchover.ts';
import { openAgain, watchLeader } from './watching.ts';

export interface Effect {
  run(of: Leading): Promise<GroupEvent>;
  readonly failed: GroupEvent;
}

export const EFFECTS: Readonly<Record<GroupPhase, Effect>> = {
  open: { run: watchLeader, failed: 'silent' },
  restarting: { run: restartLeader, failed: 'does-not-come' },
  fencing: { run: fenceAndElect, failed: 'not-elected' },
  'no-quorum': { run: waitForQuorum, failed: 'again' },
  promoting: { run: promoteLeader, failed: 'not-promoted' },
  opening: { run: openAgain, failed: 'not-opened' },
  preparing: { run: prepareSwitchover, failed: 'not-prepared' },
  closing: { run: closeGroup, failed: 'not-prepared' },
  stopping: { run: stopLeader, failed: 'not-clean' },
};
