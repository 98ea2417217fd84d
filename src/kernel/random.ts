/** Randomness as a port: seeded in tests and drivers, so that a seed replays a failure. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

const from = (next: () => number): Random => ({
  next,
  below: (bound) => Math.floor(next() * bound),
});

export const systemRandom: Random = from(() => Math.random());

/** Mulberry32 (public domain, Tommy Ettinger): 32 bits of state, ample for workloads and tests. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return from(() => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  });
}
