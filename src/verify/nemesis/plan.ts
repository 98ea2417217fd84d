/**
 * Which faults strike when: pure, from a seed, so that a run can be repeated. Each group has a lane of
 * its own, in which one move follows the other; what touches a place that several groups share takes all
 * lanes at once. Ranges have one more lane: groups fail while they are on their way. Moves are dealt like
 * cards: none comes again before all have come.
 */
import { present } from '../../kernel/assert.ts';
import type { Random } from '../../kernel/random.ts';
import { residencyOf } from '../../topology/residency.ts';
import type { RoutedGroup } from '../../topology/routing.ts';
import type { SurvivalGoal } from '../../topology/survival.ts';
import { between, streamOf } from '../seed.ts';
import { MOVES, moveOf, RANGE_MOVES } from './moves.ts';
import type { MoveKind } from './moves/building.ts';
import { describeStep, type FaultKind, type Move, type Step } from './steps.ts';

export { FAULT_KINDS, type FaultKind } from './steps.ts';

export interface PlanFor {
  readonly seed: number;
  readonly durationMs: number;
  readonly faults: readonly FaultKind[];
  readonly layout: SurvivalGoal;
  readonly groups: readonly Pick<RoutedGroup, 'name' | 'homeRegion' | 'residency'>[];
  readonly nonVoters: boolean;
}

export interface PlannedMove extends Move {
  /** From the beginning of the load; not before the lanes are free. */
  readonly atMs: number;
  /** Groups that no other move touches meanwhile, the first is whom it aims at; or that of the ranges. */
  readonly lanes: readonly string[];
  /** Does not wait until the group is whole again after the move before. */
  readonly hasty: boolean;
}

const FIRST_MS = 1_000;
const GAP_MIN_MS = 400;
const GAP_MAX_MS = 2_000;
/** Guesses for what ends when it ends. */
const REOPEN_GUESS_MS = 1_500;
const SWITCHOVER_GUESS_MS = 1_500;
const MOVE_GUESS_MS = 4_000;
const WHOLE_GUESS_MS = 2_000;
const HASTY = 0.25;
/** A lane waits so long for the others, if it could do something else. */
const IDLE_MAX_MS = 2_500;

export const RANGES_LANE = 'ranges';

export function planFaults(wanted: PlanFor): readonly PlannedMove[] {
  return [...planGroups(wanted), ...planRanges(wanted)].toSorted((a, b) => a.atMs - b.atMs);
}

function planRanges(wanted: PlanFor): readonly PlannedMove[] {
  const random = streamOf(wanted.seed, 'ranges');
  const cards = RANGE_MOVES.filter((move) => fits(move, wanted));
  // Nothing but what is pinned to a residency goes into its groups.
  const groups = wanted.groups.filter((group) => residencyOf(group) === null);
  const moves: PlannedMove[] = [];
  let deck: MoveKind[] = [];
  for (let atMs = FIRST_MS + random.below(GAP_MAX_MS); cards.length > 0;) {
    if (deck.length === 0) deck = refusedFirst(shuffled(cards, random));
    const group = present(groups[random.below(groups.length)], 'a group');
    const aim = { group: group.name, region: group.homeRegion, random };
    const planned = moveOf(present(deck.shift(), 'a card'), aim);
    const untilMs = atMs + guessMs(planned.steps);
    if (atMs >= wanted.durationMs || (moves.length > 0 && untilMs > wanted.durationMs)) break;
    moves.push({ ...planned, atMs, lanes: [RANGES_LANE], hasty: true });
    atMs = untilMs + between(random, GAP_MIN_MS, GAP_MAX_MS);
  }
  return moves;
}

/** It takes no time; and if it is not refused, it should have enough. */
function refusedFirst(deck: readonly MoveKind[]): MoveKind[] {
  const refused = ({ needs }: MoveKind): boolean => needs === 'pinned';
  return [...deck.filter(refused), ...deck.filter((card) => !refused(card))];
}

function planGroups(wanted: PlanFor): readonly PlannedMove[] {
  const random = streamOf(wanted.seed, 'nemesis');
  const cards = MOVES.filter((move) => fits(move, wanted));
  if (cards.length === 0) return [];
  const freeAtMs = new Map(
    wanted.groups.map(({ name }) => [name, FIRST_MS + random.below(GAP_MAX_MS)]),
  );
  const moves: PlannedMove[] = [];
  let deck: MoveKind[] = [];
  for (;;) {
    if (deck.length === 0) deck = shuffled(cards, random);
    const group = earliest(wanted, freeAtMs);
    const takesIn = residencyOf(group) === null;
    const { layout } = wanted;
    const card = draw(deck, { layout, takesIn, freeAtMs: [...freeAtMs.values()] });
    if (card === undefined) {
      deck = [];
      continue;
    }
    const lanes = isShared(card, wanted.layout)
      ? [group.name, ...[...freeAtMs.keys()].filter((name) => name !== group.name)]
      : [group.name];
    const atMs = Math.max(...lanes.map((name) => freeAtMs.get(name) ?? 0));
    if (atMs >= wanted.durationMs) return moves;
    const aim = { group: group.name, region: group.homeRegion, random };
    const hasty = random.next() < HASTY;
    const move = { ...moveOf(card, aim), atMs, lanes, hasty };
    const gap = between(random, GAP_MIN_MS, GAP_MAX_MS);
    const untilMs = atMs + guessMs(move.steps) + WHOLE_GUESS_MS + gap;
    for (const name of lanes) freeAtMs.set(name, untilMs);
    // The last may be cut short by the end of the load; only a first one may be begun so late.
    if (moves.length === 0 || atMs + guessMs(move.steps) <= wanted.durationMs) moves.push(move);
  }
}

function isShared(card: MoveKind, layout: SurvivalGoal): boolean {
  return card.place && layout === 'region';
}

/**
 * The first card; but one that needs all lanes waits while some would be idle for long without it. Nothing
 * arrives in a group of a residency: what is pinned there is all that may be. Undefined: none is left for it.
 */
function draw(
  deck: MoveKind[],
  {
    layout,
    takesIn,
    freeAtMs,
  }: {
    readonly layout: SurvivalGoal;
    readonly takesIn: boolean;
    readonly freeAtMs: readonly number[];
  },
): MoveKind | undefined {
  const suits = ({ kinds }: MoveKind): boolean => takesIn || !kinds.includes('move');
  const idleMs = Math.max(...freeAtMs) - Math.min(...freeAtMs);
  const first = deck.findIndex(suits);
  const other = deck.findIndex((card) => suits(card) && !isShared(card, layout));
  return deck.splice(idleMs > IDLE_MAX_MS && other > 0 ? other : first, 1)[0];
}

function fits({ kinds, needs }: MoveKind, wanted: PlanFor): boolean {
  if (needs === 'non-voter' && !wanted.nonVoters) return false;
  if (needs === 'pinned') {
    const pinned = wanted.groups.some((group) => residencyOf(group) !== null);
    return pinned && kinds.every((kind) => wanted.faults.includes(kind));
  }
  if (needs === 'zones' && wanted.layout !== 'zone') return false;
  return kinds.every((kind) => wanted.faults.includes(kind));
}

function earliest(
  { groups }: PlanFor,
  freeAtMs: ReadonlyMap<string, number>,
): PlanFor['groups'][number] {
  const free = (name: string): number => freeAtMs.get(name) ?? 0;
  return groups.reduce((best, group) => (free(group.name) < free(best.name) ? group : best));
}

/** Fisher-Yates. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const deck = [...items];
  for (let last = deck.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [deck[last], deck[other]] = [deck[other] as T, deck[last] as T];
  }
  return deck;
}

/** How long a move takes, about. */
export function guessMs(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => {
    switch (step.do) {
      case 'pause':
        return sum + step.ms;
      case 'cancel-waits':
        return sum + step.forMs;
      case 'await-open':
        return sum + REOPEN_GUESS_MS;
      case 'switchover':
        return sum + SWITCHOVER_GUESS_MS;
      case 'end-move':
        return sum + MOVE_GUESS_MS;
      default:
        return sum;
    }
  }, 0);
}

/** One line a move. */
export function describePlan(moves: readonly PlannedMove[]): string {
  return moves
    .map(({ atMs, lanes, name, steps }) => {
      const at = `${(atMs / 1_000).toFixed(1)} s`.padStart(7);
      return `${at}  ${lanes[0] ?? ''}: ${name}: ${steps.map(describeStep).join('; ')}`;
    })
    .join('\n');
}
