/** Choices from a seed, and small damage to texts. */
import type { Random } from '../../src/kernel/random.ts';

export function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)] as T;
}

/** True once in so many. */
export const chance = (random: Random, of: number): boolean => random.below(of) === 0;

const SPLICES = [
  ...['\r', '\n', '\r\n', '\0', ' ', '\t', ':', '%', ';', ',', '\xff', '\r\n\r\n', '0\r\n\r\n'],
];

/** Some bytes changed, repeated, taken out or put in. */
export function bend(random: Random, text: string): string {
  let bent = text;
  for (let left = 1 + random.below(3); left > 0; left -= 1) {
    const at = random.below(bent.length + 1);
    const head = bent.slice(0, at);
    const tail = bent.slice(at);
    const kind = random.below(4);
    if (kind === 0) bent = head + pick(random, SPLICES) + tail;
    else if (kind === 1) bent = head + tail.slice(1 + random.below(4));
    else if (kind === 2) bent = head + String.fromCharCode(random.below(256)) + tail.slice(1);
    else bent = head + tail.slice(0, random.below(40)) + tail;
  }
  return bent;
}
