/** Transactions over accounts of two groups. */
import { randomUUID } from 'node:crypto';
import type { TwoPhaseTransaction, TwoPhaseVerbs } from '../../engines/connector.ts';
import { formatGid } from '../../engines/two-phase.ts';
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { ANNA, CLEO, type Account } from '../schema.ts';
import { put, type Sessions } from '../sessions.ts';
import type { Stage } from '../stage.ts';

async function bothAre(sessions: Sessions, item: number, amount: number): Promise<void> {
  const seen = [await sessions.strong(ANNA, item), await sessions.strong(CLEO, item)];
  must(
    seen.every((one) => one.amount === amount),
    `The halves are ${seen.map((one) => String(one.amount)).join(' and ')}, not ${String(amount)}.`,
  );
}

/** What the halves are given: one item in each account, 1 before. */
interface Halves {
  readonly item: number;
  readonly gid: string;
  readonly first: TwoPhaseTransaction;
  readonly second: TwoPhaseTransaction;
}

/** The first account's group decides; nothing is prepared yet. */
async function beginBoth(stage: Stage, sessions: Sessions): Promise<Halves> {
  const item = stage.nextItem();
  const opened: TwoPhaseTransaction[] = [];
  for (const account of [ANNA, CLEO]) {
    await sessions.put(account, item, 1);
    const tx = await sessions.openTwoPhase(account);
    await put(tx, 0, { account, item, amount: 2 });
    opened.push(tx);
  }
  const [first, second] = opened;
  must(first !== undefined && second !== undefined, 'Two transactions were begun.');
  return { item, gid: formatGid(sessions.groupOf(ANNA), randomUUID()), first, second };
}

async function committed(stage: Stage, sessions: Sessions): Promise<void> {
  const { item, gid, first, second } = await beginBoth(stage, sessions);
  const prepared = await second.prepare(gid);
  must((await sessions.strong(ANNA, item)).amount === 1, 'A half is seen before its outcome.');
  await first.commitDeciding(gid);
  await prepared.finish('commit');
  await bothAre(sessions, item, 2);
}

/** The caller is gone: whoever finds the prepared half asks the group that decides. */
async function abandoned(stage: Stage, sessions: Sessions, twoPhase: TwoPhaseVerbs): Promise<void> {
  const { signal } = new AbortController();
  const { item, gid, first, second } = await beginBoth(stage, sessions);
  (await second.prepare(gid)).leave();
  const [decides, follows] = await Promise.all([
    leaderOf(sessions, ANNA),
    leaderOf(sessions, CLEO),
  ]);
  const waiting = await twoPhase.prepared(follows, { signal });
  must(
    waiting.some((one) => one.gid === gid),
    'What is prepared is not shown to recovery.',
  );
  const { decision } = await twoPhase.settle(decides, {
    ...{ group: sessions.groupOf(ANNA), gid, signal },
  });
  must(decision === 'abort', `Nobody had decided, and the decision is ${decision}.`);
  await refusal(first.commitDeciding(gid), ['ERR_ENGINE_SERIALIZATION'], 'A commit after "abort"');
  await first.rollback();
  const of = { group: sessions.groupOf(CLEO), gid, decision, signal };
  await twoPhase.finish(follows, of);
  await twoPhase.finish(follows, of);
  await bothAre(sessions, item, 1);
}

async function leaderOf(sessions: Sessions, account: Account): ReturnType<Sessions['route']> {
  return sessions.route(sessions.leader(account));
}

const X1: Law = {
  id: 'X1',
  says: 'A transaction over two groups is atomic where that is claimed, and otherwise refused before anything is done.',
  claimed: ({ crossGroupTransactions }) => crossGroupTransactions,
  check: async (stage) => {
    const sessions = stage.sessions();
    const { twoPhase } = sessions.connector;
    if (twoPhase !== undefined) {
      await committed(stage, sessions);
      await abandoned(stage, sessions, twoPhase);
      return;
    }
    // The engine's own: an ordinary transaction that opens both.
    const item = stage.nextItem();
    const tx = await sessions.begin(ANNA, CLEO);
    await put(tx, 0, { account: ANNA, item, amount: 2 });
    await put(tx, 1, { account: CLEO, item, amount: 2 });
    await tx.commit();
    await bothAre(sessions, item, 2);
  },
  refuse: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const tx = await sessions.begin(ANNA, CLEO);
    const write = put(tx, 0, { account: ANNA, item, amount: 2 });
    const codes = ['ERR_ENGINE_UNSUPPORTED', 'ERR_ENGINE_STALE_ROUTE'] as const;
    await refusal(write, codes, 'A transaction over two groups');
    await tx.rollback();
    must((await sessions.strong(ANNA, item)).amount === 1, 'Half of it was done.');
  },
};

export const CROSS_GROUP_LAWS: readonly Law[] = [X1];
