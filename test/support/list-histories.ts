/** Histories of list appends: steps in short form, and a store that is right. */
import type { Random } from '../../src/kernel/random.ts';
import type { Action, History, ListStep } from '../../src/verify/history.ts';
import { historyOf, op, type Sketch } from './histories.ts';

export const append = (key: string, value: number): ListStep => ({ kind: 'append', key, value });
export const see = (key: string, ...values: number[]): ListStep => ({ kind: 'read', key, values });
export const list = (...steps: ListStep[]): Action => ({ kind: 'list', steps });

export interface ListSimulation {
  readonly random: Random;
  readonly clients: number;
  readonly transactions: number;
  readonly groups: number;
  readonly unknown: number;
}

/** Each transaction happens at one moment between its call and its answer. */
export function simulateLists(of: ListSimulation): History {
  const { random } = of;
  const freeAt = Array.from({ length: of.clients }, () => random.next() * 10);
  const planned = Array.from({ length: of.transactions }, (_, at) => {
    const client = at % of.clients;
    const startedAtMs = (freeAt[client] ?? 0) + 0.01 + random.next() * 5;
    const endedAtMs = startedAtMs + 1 + random.next() * 20;
    freeAt[client] = endedAtMs;
    const unknown = random.next() < of.unknown;
    const late = random.below(3) === 0 ? Infinity : startedAtMs + random.next() * 100;
    const effectAtMs = unknown ? late : startedAtMs + random.next() * (endedAtMs - startedAtMs);
    return { client, startedAtMs, endedAtMs, unknown, effectAtMs };
  });
  const store = new Map<string, number[]>();
  let fresh = 0;
  const sketches = planned
    .toSorted((a, b) => a.effectAtMs - b.effectAtMs)
    .map(({ client, startedAtMs, endedAtMs, unknown, effectAtMs }): Sketch => {
      const group = random.below(of.groups);
      const steps = Array.from({ length: 1 + random.below(4) }, (): ListStep => {
        const key = `g${group}.${random.below(3)}`;
        const values = store.get(key) ?? [];
        if (random.below(2) === 0) {
          return unknown ? { kind: 'read', key } : { kind: 'read', key, values };
        }
        fresh += 1;
        if (effectAtMs < Infinity) store.set(key, [...values, fresh]);
        return append(key, fresh);
      });
      const outcome = unknown ? 'unknown' : 'ok';
      return op([startedAtMs, endedAtMs], list(...steps), { client: `c${client}`, outcome });
    });
  return historyOf(sketches, { lists: Object.fromEntries(store) });
}
