/**
 * The move of a range to another group as a state machine. Pure: phases, events, and one total table. What
 * a phase does is named in move-effects.ts; each does one thing and ends in one event.
 *
 *   clearing ─► preparing ─► copying ─► catching-up ─► closing ─► handing-over ─► routing ─► verifying ─► cleaning ─► ended
 *     │  ▲          │           │            │            │            │            ▲
 *     │  └──────────┴───────────┴────────────┘            └─────┬──────┘            │
 *     │                    failed                               ▼                   │
 *     │  ▲                                   source owns    settling    target owns │
 *     │  └──────────────────────────────────────────────────────┴──────────────────┘
 *     └─► ended, when it was given up
 *
 * The source owns the range until the target's own row says that it is open there, in a commit that its
 * quorum has confirmed. So before CLOSING everything that fails is begun anew from a clean ground; from
 * CLOSING on the databases are asked first (SETTLING); and from ROUTING on there is no way back.
 *
 * Of the phase nothing is stored, only that the range is to be moved, and where its rows are known to be
 * (docs/decisions/0023). A new supervisor begins in SETTLING.
 */

export const MOVE_PHASES = [
  /** Who has the range is read from both groups, and made certain. */
  'settling',
  /** The source serves it as ever; what an attempt of before has left behind goes. */
  'clearing',
  /** The target gets the schema, empty and closed. */
  'preparing',
  /** Rows that are there are copied while they change. */
  'copying',
  /** What has changed meanwhile follows, until the target is close behind. */
  'catching-up',
  /** The source takes no more transactions of the range. */
  'closing',
  /** The target has everything, and opens. */
  'handing-over',
  /** Everybody is told. */
  'routing',
  /** What the source had and what the target has had are compared. */
  'verifying',
  /** They differ: the source's copy stays, for a person to look at, and is not read any more. */
  'keeping',
  /** The source's copy goes. */
  'cleaning',
  'ended',
] as const;

export type MovePhase = (typeof MOVE_PHASES)[number];

export const MOVE_EVENTS = [
  'done',
  /** To be tried again, from where the table says. */
  'failed',
  /** The source serves as ever, nothing is left behind, and it shall not be tried again. */
  'given-up',
  'source-owns',
  'target-owns',
  'differs',
] as const;

export type MoveEvent = (typeof MOVE_EVENTS)[number];

type Row = Readonly<Record<MoveEvent, MovePhase>>;

/** `here` for every event that a phase does not end in. */
function row(here: MovePhase, changes: Partial<Row>): Row {
  const all = Object.fromEntries(MOVE_EVENTS.map((event) => [event, here])) as Row;
  return { ...all, ...changes };
}

export const MOVE_TRANSITIONS: Readonly<Record<MovePhase, Row>> = {
  settling: row('settling', { 'source-owns': 'clearing', 'target-owns': 'routing' }),
  clearing: row('clearing', { done: 'preparing', 'given-up': 'ended' }),
  preparing: row('preparing', { done: 'copying', failed: 'clearing' }),
  copying: row('copying', { done: 'catching-up', failed: 'clearing' }),
  'catching-up': row('catching-up', { done: 'closing', failed: 'clearing' }),
  closing: row('closing', { done: 'handing-over', failed: 'settling' }),
  'handing-over': row('handing-over', { done: 'routing', failed: 'settling' }),
  routing: row('routing', { done: 'verifying' }),
  verifying: row('verifying', { done: 'cleaning', differs: 'keeping' }),
  keeping: row('keeping', { done: 'ended' }),
  cleaning: row('cleaning', { done: 'ended' }),
  ended: row('ended', {}),
};

export function moveTransition(phase: MovePhase, event: MoveEvent): MovePhase {
  return MOVE_TRANSITIONS[phase][event];
}

const DECIDED: ReadonlySet<MovePhase> = new Set([
  'routing',
  'verifying',
  'keeping',
  'cleaning',
  'ended',
]);

/** From here on the target has it, whatever happens. */
export function isDecided(phase: MovePhase): boolean {
  return DECIDED.has(phase);
}
