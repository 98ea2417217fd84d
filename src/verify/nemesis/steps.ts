/**
 * The words of a plan of faults: inert, printable data. Who is struck is said by role ("the leader of
 * eu-west-1"), because who that is will be known only when it happens.
 */
import type { RegionName } from '../../topology/region.ts';

export const FAULT_KINDS = [
  /** Processes end, and are brought back where they were. */
  'crash',
  /** Machines: what ran there ends, and nothing starts there before they are healed. */
  'kill',
  'stop',
  'partition',
  'switchover',
  'cancel',
  'slow',
  'skew',
  'restart',
  /** Ranges go to other groups. */
  'move',
  /** Accounts get ranges of their own; those go into others; accounts go to other groups. */
  'split',
  'merge',
  'rehome',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export type Who =
  /** `followers`: both voting ones; `follower`: the first of them by name. */
  | { readonly of: 'leader' | 'follower' | 'followers' | 'non-voter'; readonly group: string }
  | { readonly of: 'app' | 'gateway'; readonly region: RegionName }
  /** One in every region. */
  | { readonly of: 'apps' };

export type RangeStep =
  /** A range with accounts leaves the group for the next one, or comes home when none is left there. */
  | { readonly do: 'begin-move'; readonly group: string; readonly into?: never }
  /** A range with accounts comes from another group. */
  | { readonly do: 'begin-move'; readonly into: string; readonly group?: never }
  /** Some accounts go to the group; `pick` says which. Those that are pinned must not. */
  | {
      readonly do: 'begin-rehome';
      readonly group: string;
      readonly pick: number;
      readonly pinned?: true;
    }
  /** An account gets a range of its own. */
  | { readonly do: 'begin-split'; readonly pick: number }
  /** One of those ranges goes into another. */
  | { readonly do: 'begin-merge' };

export type Step =
  /** As a process it is brought back at once; as a node not before it is healed. */
  | {
      readonly do: 'kill' | 'stop' | 'restart';
      readonly who: Who;
      readonly as: 'process' | 'node';
    }
  /** Cuts the zone (with region survival: the region) of whom off from everybody. */
  | { readonly do: 'cut'; readonly who: Who; readonly way: 'both' | 'out' | 'in' }
  /** Cuts the zone of whom off from those of its group's other voters, and from nobody else. */
  | { readonly do: 'separate'; readonly who: Who }
  | { readonly do: 'slow'; readonly who: Who; readonly addMs: number }
  | { readonly do: 'skew'; readonly who: Who; readonly offsetMs: number }
  /** Library clients beside whom hear of no new leader, until the next `hear` or the end of the move. */
  | { readonly do: 'deafen'; readonly who: Who }
  | { readonly do: 'hear' }
  | { readonly do: 'pause'; readonly ms: number }
  /** Until the group is open at a later epoch than when the move began, or last waited for it. */
  | {
      readonly do: 'await-open';
      readonly group: string;
      readonly timeoutMs: number;
      /** The move goes on even if that did not come. */
      readonly orGoOn?: boolean;
    }
  /** To the voter that is next in line, in another zone or region. */
  | { readonly do: 'switchover'; readonly group: string }
  /** On its way while the steps behind are done; `end-move` waits for it. */
  | RangeStep
  | { readonly do: 'end-move' }
  /** Cancels commits that wait for their quorum, as an administrator may. */
  | { readonly do: 'cancel-waits'; readonly group: string; readonly forMs: number }
  /** What this move has in force; or only what was done by one kind of step, or to one role. */
  | {
      readonly do: 'heal';
      readonly only?: 'kill' | 'stop' | 'cut' | 'separate';
      readonly of?: Who['of'];
    };

export interface Move {
  readonly name: string;
  readonly kind: FaultKind;
  readonly steps: readonly Step[];
}

/** One line for a person. */
export function describeStep(step: Step): string {
  switch (step.do) {
    case 'kill':
    case 'stop':
    case 'restart':
      return `${step.do} ${describeWho(step.who)} (${step.as})`;
    case 'cut':
      return `cut off ${describeWho(step.who)}'s place${step.way === 'both' ? '' : `, ${step.way} only`}`;
    case 'separate':
      return `separate ${describeWho(step.who)} from the other voters`;
    case 'slow':
      return `slow ${describeWho(step.who)}'s place by ${String(step.addMs)} ms`;
    case 'skew':
      return `skew the clock of ${describeWho(step.who)} by ${String(step.offsetMs)} ms`;
    case 'deafen':
      return `clients beside ${describeWho(step.who)} hear nothing`;
    case 'hear':
      return 'they hear again';
    case 'pause':
      return `${String(step.ms)} ms`;
    case 'await-open':
      return `until ${step.group} is open again`;
    case 'switchover':
      return `switchover of ${step.group}`;
    case 'begin-move':
      return step.into === undefined
        ? `a range leaves ${step.group}`
        : `a range comes to ${step.into}`;
    case 'end-move':
      return 'until that has ended';
    case 'begin-rehome':
      return `${step.pinned === true ? 'pinned accounts' : 'accounts'} go to ${step.group}`;
    case 'begin-split':
      return 'an account is split off';
    case 'begin-merge':
      return 'a range that was split off is merged';
    case 'cancel-waits':
      return `cancel quorum waits of ${step.group} for ${String(step.forMs)} ms`;
    case 'heal':
      return ['heal', step.only, step.of].filter((word) => word !== undefined).join(' ');
  }
}

function describeWho(who: Who): string {
  switch (who.of) {
    case 'followers':
      return `both voting followers of ${who.group}`;
    case 'leader':
    case 'follower':
    case 'non-voter':
      return `a ${who.of} of ${who.group}`.replace('a leader', 'the leader');
    case 'apps':
      return 'an app server of every region';
    case 'app':
      return `an app server of ${who.region}`;
    case 'gateway':
      return `the gateway of ${who.region}`;
  }
}
