/**
 * Which copies are made now, and which wait. Pure but for the list of those under way.
 *
 * A copy costs its machine as much as a busy server does. Were all made at once, after the loss of a zone or
 * on a few cores, each would take so long, and leaders would answer so late, that some are taken for lost: and
 * every one of those is copied, too. So what opens a group comes first, and alone; the rest a few at a time.
 */
import type { NodeName } from '../../../topology/node.ts';

/** Of groups that are open. */
const AT_ONCE_MAX = 2;

export interface Wish {
  readonly node: NodeName;
  readonly group: string;
  /** Its group is closed: with this copy it may have the second voter that it waits for. */
  readonly opens: boolean;
}

export class Copies {
  readonly #running = new Map<NodeName, Wish>();

  /** Undefined: not now; to be asked again soon. Else to be called when it is made, or has failed. */
  begin(wish: Wish): (() => void) | undefined {
    if (!mayBegin(wish, [...this.#running.values()])) return undefined;
    this.#running.set(wish.node, wish);
    return () => this.#running.delete(wish.node);
  }
}

export function mayBegin(wish: Wish, running: readonly Wish[]): boolean {
  const inGroup = running.filter(({ group }) => group === wish.group);
  if (wish.opens) return !inGroup.some(({ opens }) => opens);
  return (
    inGroup.length === 0 && running.length < AT_ONCE_MAX && !running.some(({ opens }) => opens)
  );
}
