/** What is due for a node, from one look at it. Pure. */

export interface NodeFacts {
  readonly leads: boolean;
  /** Its process runs, as far as can be seen. */
  readonly runs: boolean;
  readonly starting: boolean;
  /** The arbiter can reach it, and its machine is up. */
  readonly reached: boolean;
  /** Its data directory is complete. */
  readonly whole: boolean;
  /** Its data may not be used any more, or somebody wants it to be cloned. */
  readonly excluded: boolean;
  /** Starts in a row after which it ended again, with its machine up. */
  readonly endings: number;
  /** Its group has a leader with a confirmed barrier: there is something to follow, and to clone. */
  readonly open: boolean;
  /** A copy of the leader, which runs, has all that anybody may need of what it has. */
  readonly dispensable: boolean;
  readonly upstreamWell: boolean;
  /** It runs, can be reached, and has not answered for so long. */
  readonly silentMs: number;
  /** It answers, its upstream is well, and it does not stream from it for so long. */
  readonly strandedMs: number;
  /** What it needs next is not kept where it should stream from. */
  readonly outrun: boolean;
}

export type NodeDue =
  /** All is well. */
  | 'nothing'
  /** Something is not, and others have to act first. */
  | 'wait'
  | 'start'
  | 'end'
  /** Everybody is told again whom to follow, and finds a slot there. */
  | 'follow'
  | 'rebuild';

/** What does not come up so often does not come up: its files are damaged, say. */
const ENDINGS_MAX = 4;
/** A server that is only busy answers within this. */
export const SILENT_MAX_MS = 5_000;
/** One that has forked never streams again, and is told from one that is late by patience alone. */
export const STRANDED_MAX_MS = 15_000;

export function judgeNode(facts: NodeFacts): NodeDue {
  // Nothing can be done there; a leader is not ours.
  if (facts.leads || !facts.reached || facts.starting) return 'wait';
  if (facts.excluded || !facts.whole) {
    // Without it there may be no quorum, and so no opening: it is cloned for that, too.
    return facts.open || facts.dispensable ? 'rebuild' : 'wait';
  }
  if (!facts.runs) return facts.endings >= ENDINGS_MAX && facts.open ? 'rebuild' : 'start';
  if (facts.silentMs > SILENT_MAX_MS) return 'end';
  if (facts.silentMs > 0) return 'wait';
  if (!facts.open) return 'wait';
  if (facts.outrun || facts.strandedMs > STRANDED_MAX_MS) return 'rebuild';
  if (facts.strandedMs > 0) return 'follow';
  return facts.upstreamWell ? 'nothing' : 'wait';
}
