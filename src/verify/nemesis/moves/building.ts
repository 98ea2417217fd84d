/** What moves are made of: whom they aim at, and the steps that several share. Pure. */
import type { Random } from '../../../kernel/random.ts';
import { between } from '../../seed.ts';
import type { FaultKind, Step, Who } from '../steps.ts';

export interface Aim {
  readonly group: string;
  readonly region: string;
  readonly random: Random;
}

export interface MoveKind {
  readonly name: string;
  /** The first is what it counts as; it is played only if all were asked for. (Cancels come whole.) */
  readonly kinds: readonly [FaultKind, ...FaultKind[]];
  /** Touches a place: with region survival every group has a voter there. */
  readonly place: boolean;
  /** What must be there: non-voters, voters in the zones of one region, or accounts that are pinned. */
  readonly needs?: 'non-voter' | 'zones' | 'pinned';
  steps(aim: Aim): readonly Step[];
}

/** Clocks of servers are taken to agree within this: offsets in both directions stay in it together. */
export const SKEW_MAX_MS = 100;
export const REOPEN_MS = 6_000;
/** The longest lease here, and an election on a busy machine. */
const OUTLASTED_MS = 10_000;
/** The default lease (3 s), and what clocks may be apart here. */
export const LEASE_OVER_MS = 3_000 + 2 * SKEW_MAX_MS + 300;

export const leader = ({ group }: Aim): Who => ({ of: 'leader', group });
export const follower = ({ group }: Aim): Who => ({ of: 'follower', group });
export const followers = ({ group }: Aim): Who => ({ of: 'followers', group });
export const pause = ({ random }: Aim, least: number, most: number): Step => ({
  do: 'pause',
  ms: between(random, least, most),
});
export const heal: Step = { do: 'heal' };
export const reopened = ({ group }: Aim, timeoutMs = REOPEN_MS): Step => ({
  do: 'await-open',
  group,
  timeoutMs,
});
export const kill = (who: Who, as: 'process' | 'node'): Step => ({ do: 'kill', who, as });
export const stop = (who: Who, as: 'process' | 'node'): Step => ({ do: 'stop', who, as });

export const cut = (who: Who, way: 'both' | 'out' | 'in' = 'both'): Step => ({
  do: 'cut',
  who,
  way,
});

/**
 * Commits hang on the leader alone; its process ends and comes back with them on its disk. What clients
 * are shown then must not be lost with that disk.
 */
export function tail(aim: Aim, isolate: readonly Step[], join: Step): Step[] {
  return [
    ...isolate,
    pause(aim, 300, 700),
    kill(leader(aim), 'process'),
    // It must not come, so all of it is waited for: a restart takes seconds on a busy machine.
    { do: 'await-open', group: aim.group, timeoutMs: 4_000, orGoOn: true },
    pause(aim, 400, 900),
    kill(leader(aim), 'node'),
    join,
    pause(aim, 1_500, 3_000),
    heal,
  ];
}

/**
 * Mostly until a successor has served for a while: what the old one shows is stale only then. Else it is
 * over while it is being succeeded, or before.
 */
export const outlasted = (aim: Aim, least: number, most: number): Step[] =>
  aim.random.below(4) === 0
    ? [pause(aim, least, most)]
    : [reopened(aim, OUTLASTED_MS), pause(aim, 500, 1_500)];
