/**
 * The ways in which a leader is killed, dealt like cards: none comes again before all have come. Pure;
 * times are drawn from the seed.
 */
import type { Random } from '../../src/kernel/random.ts';
import { between } from '../../src/verify/seed.ts';

export const KINDS = [
  /** It is started again where it was. */
  'process',
  /** The same, and once more as soon as it is open. */
  'process-twice',
  /** Another takes over; the machine comes back, and its copy is made anew. */
  'node',
  /** The machine of another voter ends while that goes on. */
  'node-and-another',
  /** The successor's machine ends before the first one is whole again. */
  'node-and-successor',
] as const;
export type Kind = (typeof KINDS)[number];

/** Times in ms. */
export interface Move {
  readonly kind: Kind;
  /** After the group is whole, until the (first) kill. */
  readonly waitMs: number;
  /** From the first kill, or the group's opening after it, to the second. */
  readonly secondAfterMs: number;
  /** How long what the second one hit stays down. */
  readonly secondDownMs: number;
  /** How long the first machine stays down, once the group is open without it. */
  readonly downMs: number;
  /** Which of the others is hit by a second kill. */
  readonly other: number;
}

const DECK: readonly Kind[] = [
  ...(['process', 'process', 'process', 'process', 'process-twice'] as const),
  ...(['node', 'node', 'node', 'node-and-another', 'node-and-another'] as const),
  'node-and-successor',
];

export class Deck {
  readonly #random: Random;
  #cards: Kind[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  draw(): Move {
    if (this.#cards.length === 0) this.#cards = [...DECK];
    const [kind = 'process'] = this.#cards.splice(this.#random.below(this.#cards.length), 1);
    const random = this.#random;
    return {
      kind,
      waitMs: between(random, 0, 700),
      // A failover within a region takes some hundred ms, one across about two seconds.
      secondAfterMs: between(random, 0, kind === 'node-and-another' ? 1_500 : 300),
      secondDownMs: between(random, 100, 1_500),
      downMs: between(random, 0, 500),
      other: random.below(2),
    };
  }
}

/** Leaders that a move kills. */
export function leadersKilledBy(kind: Kind): number {
  return kind === 'process-twice' || kind === 'node-and-successor' ? 2 : 1;
}
