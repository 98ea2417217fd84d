/**
 * Positions never go back: the answer to a read with a token includes what the token held, and what a
 * leader answers (a strong read, or a write) includes every position that its client had been given
 * before. Compared group by group, where both sides speak of the group. Of a leader's answer only its own
 * group's position is its own: of a range that was moved it also names where former groups closed it, and
 * that was some time ago.
 */
import { reaches, type Position, type Token } from '../../topology/position.ts';
import { grouped } from '../grouped.ts';
import type { Checker, Operation, Violation } from '../history.ts';
import { tokenReader, type ReadToken } from '../token-positions.ts';

export const tokens: Checker = {
  name: 'tokens',
  claims: 'the positions that a client is given never go back behind what it had seen',
  check: (history) => {
    const violations: Violation[] = [];
    const covered = { answers: 0, compared: 0 };
    const positionsOf = tokenReader();
    const answered = history.operations.filter(({ outcome }) => outcome === 'ok');
    for (const operations of grouped(answered, ({ client }) => client).values()) {
      judge(operations, { violations, covered, positionsOf });
    }
    return { checker: tokens.name, violations, covered };
  },
};

interface Held {
  readonly position: Position;
  readonly operation: Operation;
}

function judge(
  operations: readonly Operation[],
  into: {
    violations: Violation[];
    covered: { answers: number; compared: number };
    positionsOf: ReadToken;
  },
): void {
  const held = new Map<string, Held>();
  let previousEndMs = -Infinity;
  for (const operation of operations) {
    if (operation.token === undefined) continue;
    into.covered.answers += 1;
    const given = into.positionsOf(operation.token);
    if (given === undefined) {
      const what = `${operation.client} was given a token that is none`;
      into.violations.push({ what, operations: [operation.index] });
      continue;
    }
    // Overlapping operations of one client are ordered by nothing.
    const inOrder = operation.startedAtMs >= previousEndMs;
    const due = inOrder && isLeaders(operation) ? heldOf(operation, held) : [];
    for (const { position, operation: before } of [
      ...due,
      ...passed(operation, into.positionsOf),
    ]) {
      const now = given.find(({ group }) => group === position.group);
      if (now === undefined) continue;
      into.covered.compared += 1;
      if (reaches(now, position)) continue;
      const what = `${operation.client} was given ${show(now)} after it had seen ${show(position)}`;
      const indexes = new Set([before.index, operation.index]);
      into.violations.push({ what, operations: [...indexes] });
    }
    for (const position of given) {
      const known = held.get(position.group)?.position;
      if (known === undefined || reaches(position, known)) {
        held.set(position.group, { position, operation });
      }
    }
    previousEndMs = Math.max(previousEndMs, operation.endedAtMs);
  }
}

function heldOf({ node }: Operation, held: ReadonlyMap<string, Held>): Held[] {
  const all = [...held.values()];
  // "us-east-1.a" is a node of us-east-1.
  return node === undefined
    ? all
    : all.filter(({ position }) => node.startsWith(`${position.group}.`));
}

/** Balances may be read on a replica, and a repeated key may be given its first answer: nothing is certain. */
function isLeaders({ action }: Operation): boolean {
  if (action.kind === 'register-read') return action.asked.kind === 'strong';
  if (action.kind === 'transfer') return action.key === undefined;
  return action.kind !== 'balances';
}

function passed(operation: Operation, positionsOf: ReadToken): Held[] {
  const token: Token | undefined =
    operation.action.kind === 'register-read' && operation.action.asked.kind === 'token'
      ? operation.action.asked.token
      : undefined;
  const positions = token === undefined ? [] : (positionsOf(token) ?? []);
  return positions.map((position) => ({ position, operation }));
}

const show = ({ group, epoch, log }: Position): string => `${group} ${epoch}/${log.toString(16)}`;
