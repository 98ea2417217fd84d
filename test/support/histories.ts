/** Histories for the tests of the checkers: written by hand, or of a simulated store that is right. */
import type {
  Action,
  Asked,
  FinalState,
  History,
  Operation,
  Verdict,
} from '../../src/verify/history.ts';
import type { Random } from '../../src/kernel/random.ts';

export const NOTHING_LEFT: FinalState = {
  rows: {},
  registers: {},
  lists: {},
  balances: {},
  transfers: {},
  copies: [],
  homes: [],
};

export type Sketch = Partial<Omit<Operation, 'action' | 'index'>> & { readonly action: Action };

/** One operation: `at` gives start and end; client and outcome may be left out. */
export function op(
  at: readonly [number, number],
  action: Action,
  more?: Partial<Operation>,
): Sketch {
  return { startedAtMs: at[0], endedAtMs: at[1], ...more, action };
}

export function historyOf(
  sketches: readonly Sketch[],
  final: Partial<FinalState> = {},
  more: Partial<History> = {},
): History {
  const operations = sketches
    .toSorted((a, b) => (a.startedAtMs ?? 0) - (b.startedAtMs ?? 0))
    .map((sketch, index): Operation => ({
      index,
      client: `c${index}`,
      region: 'us-east',
      via: 'library',
      outcome: 'ok',
      startedAtMs: index * 10,
      endedAtMs: index * 10 + 5,
      ...sketch,
    }));
  return {
    operations,
    injected: [],
    tenures: [],
    final: { ...NOTHING_LEFT, ...final },
    openedWith: 0,
    ...more,
  };
}

export const write = (value: number, register = 'x'): Action => ({
  kind: 'register-write',
  register,
  value,
});
export const read = (
  value: number | null,
  asked: Asked = { kind: 'strong' },
  register = 'x',
): Action => ({ kind: 'register-read', register, asked, value });
export const swap = (expected: number | null, value: number, swapped?: boolean): Action => ({
  kind: 'register-swap',
  register: 'x',
  expected,
  value,
  ...(swapped === undefined ? {} : { swapped }),
});

/** What the violations say, for assertions. */
export const saidBy = (verdict: Verdict): string[] => verdict.violations.map(({ what }) => what);

export interface Simulation {
  readonly random: Random;
  readonly clients: number;
  readonly operations: number;
  readonly registers: number;
  /** Chance of an outcome that the client is not told. */
  readonly unknown: number;
  /** Chance that an operation is a swap, and a read; the others write. */
  readonly swaps?: number;
  readonly reads?: number;
}

interface Planned {
  readonly client: number;
  readonly register: string;
  readonly startedAtMs: number;
  readonly takesEffectAtMs: number;
  readonly endedAtMs: number;
  readonly kind: 'write' | 'read' | 'swap';
  readonly unknown: boolean;
}

/** Clients of a store that performs each operation at one moment between its call and its answer. */
export function simulateRegisters(of: Simulation): History {
  const { random } = of;
  const planned = planRegisters(of);
  const store = new Map<string, number>();
  const recent = new Map<string, number[]>();
  let fresh = 0;
  const done = planned
    .toSorted((a, b) => a.takesEffectAtMs - b.takesEffectAtMs)
    .map((plan): { plan: Planned; action: Action } => {
      const { register } = plan;
      const current = store.get(register) ?? null;
      const strong: Asked = { kind: 'strong' };
      if (plan.kind === 'read') {
        const value = plan.unknown ? {} : { value: current };
        return { plan, action: { kind: 'register-read', register, asked: strong, ...value } };
      }
      fresh += 1;
      const value = fresh;
      const history = recent.get(register) ?? [];
      // Mostly what is there, as if just read; sometimes what was there a little while ago.
      const guess = random.below(3) === 0 ? (history.at(-1 - random.below(3)) ?? null) : current;
      const swapped = plan.kind === 'write' || guess === current;
      // An operation without an answer may also never arrive.
      if (swapped && (!plan.unknown || plan.takesEffectAtMs < Infinity)) {
        store.set(register, value);
        recent.set(register, [...history.slice(-5), value]);
      }
      if (plan.kind === 'write')
        return { plan, action: { kind: 'register-write', register, value } };
      const answer = plan.unknown ? {} : { swapped };
      return {
        plan,
        action: { kind: 'register-swap', register, expected: guess, value, ...answer },
      };
    });
  const sketches = done.map(({ plan, action }) =>
    op([plan.startedAtMs, plan.endedAtMs], action, {
      client: `c${plan.client}`,
      outcome: plan.unknown ? 'unknown' : 'ok',
    }),
  );
  return historyOf(sketches, { registers: Object.fromEntries(store) });
}

function planRegisters(of: Simulation): Planned[] {
  const { random, swaps = 0.2, reads = 0.5 } = of;
  const freeAt = Array.from({ length: of.clients }, () => random.next() * 10);
  return Array.from({ length: of.operations }, (_, at): Planned => {
    const client = at % of.clients;
    const startedAtMs = (freeAt[client] ?? 0) + 0.01 + random.next() * 5;
    const endedAtMs = startedAtMs + 1 + random.next() * 20;
    freeAt[client] = endedAtMs;
    const unknown = random.next() < of.unknown;
    const late = random.below(4) === 0 ? Infinity : startedAtMs + random.next() * 200;
    const dice = random.next();
    return {
      client,
      register: `r${random.below(of.registers)}`,
      startedAtMs,
      endedAtMs,
      takesEffectAtMs: unknown ? late : startedAtMs + random.next() * (endedAtMs - startedAtMs),
      kind: dice < reads ? 'read' : dice < reads + swaps ? 'swap' : 'write',
      unknown,
    };
  });
}
