/** When an account is given another home region. Times are in the intervals of its traffic (traffic.ts). */
export interface RehomingPolicy {
  /**
   * Share of the mean distance to the home that another home must save, 0 to 1. Below it a move is not worth
   * its pause and its bytes; and the way back would need as much again, so it is the hysteresis too.
   */
  readonly gainMin: number;
  /** Share of the traffic that must come from the new home itself. Evenly spread traffic stays where it is. */
  readonly dominanceMin: number;
  /** Accesses in a cycle below which chance is not told from habit. */
  readonly accessesMin: number;
  /** A preference must show in each of so many cycles: what comes and goes within one is none. */
  readonly dwellCycles: number;
  /**
   * Unless the old home has been left: of its traffic at the same hours of the cycle before at most this share
   * is there. Then `vacatedIntervals` are enough.
   */
  readonly vacatedShareMax: number;
  readonly vacatedIntervals: number;
  /** After a move nothing moves the account again for so long: it cannot go to and fro. */
  readonly cooldownIntervals: number;
  /** In any cycle: of all bytes that accounts have. */
  readonly bytesShareMax: number;
  /** In any cycle, of all accounts together. */
  readonly movesMax: number;
}

/** For intervals of an hour and cycles of a day. */
export const REHOMING_DEFAULTS: RehomingPolicy = {
  gainMin: 0.2,
  dominanceMin: 0.45,
  accessesMin: 24,
  dwellCycles: 2,
  vacatedShareMax: 0.1,
  vacatedIntervals: 6,
  cooldownIntervals: 72,
  bytesShareMax: 0.02,
  movesMax: 10_000,
};
