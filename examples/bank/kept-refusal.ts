/**
 * A refusal for lack of funds is an answer like any other: the next attempt might come to another one.
 * Thrown out of a transaction it would leave nothing behind, its key neither. An earlier attempt of the
 * same request, held up on a server that was given up, could then still take effect when money has come
 * in meanwhile, and the client has been told no. Returned, it is committed with the key, and whatever
 * comes later with that key finds it.
 *
 * Other refusals stay what they are however often one asks; some are found after a statement has written,
 * and have to undo it. They are thrown.
 */
import type { Committed } from 'meridian';
import { Refused, type RefusalReason } from './rules.ts';

export type Decided<T> = { readonly done: T } | { readonly refused: RefusalReason };

/** Within the transaction: `run` decides before it writes. */
export async function decide<T>(run: () => Promise<T>): Promise<Decided<T>> {
  try {
    return { done: await run() };
  } catch (error) {
    if (error instanceof Refused && error.reason === 'insufficient-funds') {
      return { refused: error.reason };
    }
    throw error;
  }
}

/** After the commit. Throws `Refused`. */
export function outcomeOf<T>(committed: Committed<Decided<T>>): Committed<T> {
  const { value } = committed;
  if ('refused' in value) throw new Refused(value.refused);
  return { ...committed, value: value.done };
}
