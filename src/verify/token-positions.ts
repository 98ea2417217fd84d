/** Tokens of a history, read once each: the same one is held by many operations. */
import { parseToken, type Position, type Token } from '../topology/position.ts';

/** Bound on what is remembered; a long history has a million tokens. */
const REMEMBERED_MAX = 50_000;

/** Undefined for what is no token of ours. */
export type ReadToken = (token: Token) => readonly Position[] | undefined;

export function tokenReader(): ReadToken {
  const remembered = new Map<Token, readonly Position[] | undefined>();
  return (token) => {
    if (remembered.has(token)) return remembered.get(token);
    let positions: readonly Position[] | undefined;
    try {
      positions = parseToken(token);
    } catch {
      positions = undefined;
    }
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    remembered.set(token, positions);
    return positions;
  };
}
