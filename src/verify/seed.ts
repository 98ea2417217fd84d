/**
 * Randomness of a verification: one seed, and a stream of its own for each use, so that drawing more in
 * one place does not shift what another draws.
 */
import { seededRandom, type Random } from '../kernel/random.ts';

export function streamOf(seed: number, name: string): Random {
  return seededRandom(hash(`${String(seed)}/${name}`));
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text) {
    value = Math.imul(value ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return value >>> 0;
}

export function pick<T>(random: Random, items: readonly [T, ...T[]]): T;
export function pick<T>(random: Random, items: readonly T[]): T | undefined;
export function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[random.below(items.length)];
}

/** Uniform whole number between two, both included. */
export function between(random: Random, least: number, most: number): number {
  return least + random.below(most - least + 1);
}
