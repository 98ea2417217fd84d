/**
 * Which transaction must come before which. ww: appended just before it to the same list; wr: appended
 * what it read last; rw: read a list to which it then appended next (an anti-dependency); time: was
 * acknowledged before it began, by anybody or by the same client.
 */
import type { KeyOrder } from './orders.ts';
import { isPrefix, type Group, type Transaction } from './transactions.ts';

export type DependencyKind = 'ww' | 'wr' | 'rw' | 'time';

export interface Dependency {
  readonly to: number;
  readonly kind: DependencyKind;
  /** For people: the key and elements, or nothing for time. */
  readonly why: string;
}

/** Nodes are positions in `transactions`. */
export interface Dependencies {
  readonly transactions: readonly Transaction[];
  readonly of: readonly (readonly Dependency[])[];
}

export function dependenciesOf(group: Group, orders: ReadonlyMap<string, KeyOrder>): Dependencies {
  const transactions = group.transactions.filter(({ committed }) => committed);
  const nodeOf = new Map(transactions.map((transaction, node) => [transaction, node]));
  const of: Dependency[][] = transactions.map(() => []);
  const add: Add = (from, to, rest) => {
    const [a, b] = [from && nodeOf.get(from), to && nodeOf.get(to)];
    if (a !== undefined && b !== undefined && a !== b) of[a]?.push({ to: b, ...rest });
  };
  for (const { key, values, writerOf } of orders.values()) {
    values.forEach((value, at) => {
      const before = values[at - 1];
      if (before === undefined) return;
      const why = `${key}: ${before} then ${value}`;
      add(writerOf.get(before), writerOf.get(value), { kind: 'ww', why });
    });
  }
  for (const reader of transactions) {
    if (reader.operation.outcome !== 'ok') continue;
    for (const [key, found] of reader.found) {
      const order = orders.get(key);
      if (order === undefined || !isPrefix(found, order.values)) continue;
      const [last, next] = [found.at(-1), order.values[found.length]];
      if (last !== undefined) {
        add(order.writerOf.get(last), reader, { kind: 'wr', why: `${key}: read ${last}` });
      }
      if (next !== undefined) {
        add(reader, order.writerOf.get(next), { kind: 'rw', why: `${key}: not yet ${next}` });
      }
    }
  }
  addTime(transactions, add);
  return { transactions, of };
}

type Add = (
  from: Transaction | undefined,
  to: Transaction | undefined,
  rest: Omit<Dependency, 'to'>,
) => void;

/**
 * Enough dependencies by time that the others follow from them: from each transaction of the frontier,
 * those that ended and after whose end none that has ended was begun. The frontier has at most one of
 * each client that runs at the same time.
 */
function addTime(transactions: readonly Transaction[], add: Add): void {
  const acknowledged = transactions.filter(({ operation }) => operation.outcome === 'ok');
  const ends = acknowledged.toSorted((a, b) => a.operation.endedAtMs - b.operation.endedAtMs);
  const starts = transactions.toSorted((a, b) => a.operation.startedAtMs - b.operation.startedAtMs);
  let frontier: Transaction[] = [];
  let ended = 0;
  const last = new Map<string, Transaction>();
  for (const begun of starts) {
    const { startedAtMs, client } = begun.operation;
    for (let next = ends[ended]; next !== undefined; next = ends[ended]) {
      const { operation } = next;
      if (operation.endedAtMs >= startedAtMs) break;
      frontier = frontier.filter((old) => old.operation.endedAtMs >= operation.startedAtMs);
      frontier.push(next);
      ended += 1;
    }
    for (const before of frontier) add(before, begun, { kind: 'time', why: 'acknowledged before' });
    const previous = last.get(client);
    if (previous !== undefined && !frontier.includes(previous)) {
      add(previous, begun, { kind: 'time', why: 'of the same client' });
    }
    if (begun.operation.outcome === 'ok') last.set(client, begun);
    else last.delete(client);
  }
}
