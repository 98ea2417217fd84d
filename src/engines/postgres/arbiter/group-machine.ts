/**
 * The life of a replication group's leadership as a state machine. Pure: phases, events, and one total
 * table. What a phase does is named in effects.ts; each phase does one thing and ends in one event.
 *
 *   open ── ended, silent ──► restarting ── answers ──► promoting ──► opening ──► open
 *    │                          │     ▲                   ▲    ▲
 *    │ isolated   does not come │     │ again             │    │ stopped clean
 *    │                          ▼     │                   │    │
 *    └───────────────────────► fencing ── elected ────────┘    │
 *    │                          │                              │
 *    │              not elected └──► no-quorum                 │
 *    │ switchover asked                                        │
 *    └───────────► preparing ──► closing ──► stopping ─────────┘
 *
 * What must survive a crash of the supervisor is not the phase but who leads and whose data may not be
 * used any more, and that is written in one step, when somebody is elected (docs/decisions/0017). So a
 * new supervisor starts every machine in RESTARTING: the leader that is stored is started in place and,
 * if its promotion was begun or not, promoted; everything else follows.
 */

export const GROUP_PHASES = [
  /** The leader serves and holds the lease. */
  'open',
  /** The leader is brought back where it is, or found to answer again. */
  'restarting',
  /** The voting standbys are cut off from the old leader, then the most advanced is elected. */
  'fencing',
  /** Nobody can be elected, and the leader does not come back: two of three voters are missing. */
  'no-quorum',
  /** The elected waits out its predecessor's lease and takes over. */
  'promoting',
  /** Followers follow it, the barrier is committed, the lease granted, clients let in. */
  'opening',
  /** Before a planned change: everybody follows the successor, which follows the leader closely. */
  'preparing',
  /** New transactions are held up, those under way end. */
  'closing',
  /** The old leader ships all it has and ends. */
  'stopping',
] as const;

export type GroupPhase = (typeof GROUP_PHASES)[number];

export const GROUP_EVENTS = [
  /** The leader's process is gone. */
  'ended',
  /** It misses probes: hung, or cut off from the arbiter. */
  'silent',
  /** It answers, and none of its voting standbys can be reached by it. */
  'isolated',
  'switchover-asked',
  /** The leader answers. */
  'answers',
  'does-not-come',
  'elected',
  'not-elected',
  /** Time to try everything again. */
  'again',
  'promoted',
  'not-promoted',
  'opened',
  'not-opened',
  'prepared',
  'not-prepared',
  'drained',
  'stopped-clean',
  'not-clean',
] as const;

export type GroupEvent = (typeof GROUP_EVENTS)[number];

type Row = Readonly<Record<GroupEvent, GroupPhase>>;

/** `here` for every event that changes nothing in this phase. */
function row(here: GroupPhase, changes: Partial<Row>): Row {
  const all = Object.fromEntries(GROUP_EVENTS.map((event) => [event, here])) as Row;
  return { ...all, ...changes };
}

/** The leader is lost whatever was being done with it. */
const LOST: Partial<Row> = { ended: 'restarting', silent: 'restarting' };

export const TRANSITIONS: Readonly<Record<GroupPhase, Row>> = {
  open: row('open', { ...LOST, isolated: 'fencing', 'switchover-asked': 'preparing' }),
  restarting: row('restarting', { answers: 'promoting', 'does-not-come': 'fencing' }),
  fencing: row('fencing', { elected: 'promoting', 'not-elected': 'no-quorum' }),
  'no-quorum': row('no-quorum', { again: 'restarting' }),
  // Elected for good: nobody else may have its data, so it is waited for, however long that takes.
  promoting: row('promoting', { promoted: 'opening', 'not-promoted': 'no-quorum' }),
  opening: row('opening', { ...LOST, opened: 'open', 'not-opened': 'restarting' }),
  preparing: row('preparing', { ...LOST, prepared: 'closing', 'not-prepared': 'open' }),
  closing: row('closing', { ...LOST, drained: 'stopping', 'not-prepared': 'opening' }),
  stopping: row('stopping', { 'stopped-clean': 'promoting', 'not-clean': 'restarting' }),
};

export function transition(phase: GroupPhase, event: GroupEvent): GroupPhase {
  return TRANSITIONS[phase][event];
}
