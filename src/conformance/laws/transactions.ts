/** What happens in a transaction, when it ends, and when its end is not heard of. */
import type { SessionTransaction } from '../../engines/connector.ts';
import { isMeridianError, type MeridianError } from '../../kernel/errors.ts';
import { CutProxy } from '../cut-proxy.ts';
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { ANNA, BERT, type Account } from '../schema.ts';
import { get, put } from '../sessions.ts';

const NEVER = new AbortController().signal;

const S5: Law = {
  id: 'S5',
  says: "When the connection ends while a commit is under way, the outcome is 'unknown': neither success nor failure.",
  check: async (stage) => {
    const sessions = stage.sessions();
    const leader = sessions.leader(ANNA);
    const direct = await sessions.route(leader);
    for (const when of ['before', 'after'] as const) {
      const item = stage.nextItem();
      await sessions.put(ANNA, item, 1);
      const proxy = await CutProxy.start(direct.address);
      try {
        const node = { ...direct, address: proxy.address };
        const target = await sessions.target([ANNA], sessions.writing(ANNA), node);
        const tx = await sessions.open(target, { signal: NEVER });
        await put(tx, 0, { account: ANNA, item, amount: 2 });
        proxy.cutNext(when);
        const error = await refusal(tx.commit(), ['ERR_ENGINE_COMMIT_UNKNOWN'], 'The commit');
        await tx.rollback();
        must(error.outcome === 'unknown', `The outcome is said to be ${error.outcome}.`);
      } finally {
        await proxy[Symbol.asyncDispose]();
      }
      if (when === 'before') {
        must((await sessions.strong(ANNA, item)).amount === 1, 'It was never told to commit.');
      } else {
        await stage.eventually(
          'the commit that arrived to be done',
          async () => (await sessions.strong(ANNA, item)).amount === 2,
        );
      }
    }
  },
};

/** Its end, whichever it is. */
async function ending(tx: SessionTransaction): Promise<MeridianError | undefined> {
  try {
    await tx.commit();
    return undefined;
  } catch (error) {
    if (isMeridianError(error)) return error;
    throw error;
  } finally {
    await tx.rollback();
  }
}

const S6: Law = {
  id: 'S6',
  says: 'Transactions are serializable: of two that each read what the other writes, one at least is refused.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const [left, right] = [stage.nextItem(), stage.nextItem()];
    await sessions.put(ANNA, left, 1);
    await sessions.put(ANNA, right, 1);
    const [one, other] = [await sessions.begin(ANNA), await sessions.begin(ANNA)];
    const failures: (MeridianError | undefined)[] = [];
    try {
      for (const tx of [one, other]) {
        await get(tx, 0, { account: ANNA, item: left });
        await get(tx, 0, { account: ANNA, item: right });
      }
      const writes = await Promise.allSettled([
        put(one, 0, { account: ANNA, item: left, amount: 0 }),
        put(other, 0, { account: ANNA, item: right, amount: 0 }),
      ]);
      const refused = writes.flatMap((write) =>
        write.status === 'rejected' ? [write.reason as MeridianError] : [],
      );
      failures.push(...refused, await ending(one), await ending(other));
    } finally {
      await Promise.all([one.rollback(), other.rollback()]);
    }
    const codes = failures.flatMap((failure) => (failure === undefined ? [] : [failure.code]));
    must(codes.length > 0, 'Both were committed, in an order that nobody could have run them in.');
    const conflict = codes.every((code) => code === 'ERR_ENGINE_SERIALIZATION');
    must(conflict, `Refused with ${codes.join(' and ')}, not as a conflict.`);
    const sum = [await sessions.strong(ANNA, left), await sessions.strong(ANNA, right)].reduce(
      (total, { amount }) => total + (amount ?? 0),
      0,
    );
    must(sum >= 1, 'A transaction that was refused has been committed.');
  },
};

const S7: Law = {
  id: 'S7',
  says: 'A route of an older epoch, of the group or of the range, is refused before anything is done.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const access = sessions.writing(ANNA);
    const target = await sessions.target([ANNA], access);
    const range = { name: ANNA.range, epoch: sessions.rangeEpoch(ANNA) + 1 };
    const stale = [
      { ...target, access: { ...access, groupEpoch: access.groupEpoch - 1 } },
      { ...target, access: { ...access, groupEpoch: access.groupEpoch + 1 } },
      { ...target, scopes: [{ range, account: ANNA.id }] },
    ];
    for (const route of stale) {
      const tx = await sessions.open(route, { signal: NEVER });
      const write = put(tx, 0, { account: ANNA, item, amount: 2 });
      await refusal(write, ['ERR_ENGINE_STALE_ROUTE'], 'A write by a stale route');
      await refusal(tx.commit(), ['ERR_ENGINE_STALE_ROUTE'], 'Its commit');
      await tx.rollback();
    }
    must((await sessions.strong(ANNA, item)).amount === 1, 'A stale route has written.');
  },
};

const S8: Law = {
  id: 'S8',
  says: 'What is rolled back was never there, and a transaction takes nothing after its end.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const [item, made] = [stage.nextItem(), stage.nextItem()];
    await sessions.put(ANNA, item, 1);
    const tx = await sessions.begin(ANNA);
    await put(tx, 0, { account: ANNA, item, amount: 2 });
    await put(tx, 0, { account: ANNA, item: made, amount: 2 });
    const during = await sessions.strong(ANNA, item).catch(() => undefined);
    must(during === undefined || during.amount === 1, 'Another saw it before its end.');
    await tx.rollback();
    await tx.rollback();
    must((await sessions.strong(ANNA, item)).amount === 1, 'A change outlived its rollback.');
    must((await sessions.strong(ANNA, made)).amount === undefined, 'A row outlived its rollback.');
    const late = put(tx, 0, { account: ANNA, item, amount: 3 });
    await refusal(late, ['ERR_TRANSACTION_CLOSED'], 'A statement after the end');
  },
};

const S9: Law = {
  id: 'S9',
  says: 'A transaction that failed or was left half-way leaves its connection fit for the next, with nothing of its own.',
  check: async (stage) => {
    const sessions = stage.sessions(1);
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    await sessions.put(BERT, item, 10);
    for (let round = 1; round <= 3; round += 1) {
      const failing = await sessions.begin(ANNA);
      await put(failing, 0, { account: ANNA, item, amount: 5 });
      const wrong = failing.query(0, { text: 'SELECT nothing FROM nowhere', values: [] });
      await refusal(wrong, ['ERR_ENGINE_STATEMENT'], 'A wrong statement');
      await refusal(failing.commit(), ['ERR_ENGINE_STATEMENT'], 'Its commit');
      await failing.rollback();
      const left = await sessions.begin(ANNA);
      await put(left, 0, { account: ANNA, item, amount: 6 });
      await left.rollback();
      must((await sessions.strong(BERT, item)).amount === 10, 'The next scope is not its own.');
      must((await sessions.strong(ANNA, item)).amount === 1, 'Something of it is left.');
    }
  },
};

async function read(
  tx: SessionTransaction,
  rows: readonly (readonly [scope: number, account: Account, item: number])[],
): Promise<string> {
  const seen: (number | undefined)[] = [];
  for (const [scope, account, item] of rows) seen.push(await get(tx, scope, { account, item }));
  return seen.map(String).join(' ');
}

const S10: Law = {
  id: 'S10',
  says: 'Unqualified names mean the range of their scope, and a transaction over two ranges of a group is one.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    await sessions.put(BERT, item, 2);
    const tx = await sessions.begin(ANNA, BERT);
    try {
      // Each asks for the other's row in its own range, where there is none.
      const seen = await read(tx, [
        [0, ANNA, item],
        [0, BERT, item],
        [1, BERT, item],
        [1, ANNA, item],
        [0, ANNA, item],
      ]);
      must(seen === '1 undefined 2 undefined 1', `Seen: ${seen}.`);
      await put(tx, 0, { account: ANNA, item, amount: 11 });
      await put(tx, 1, { account: BERT, item, amount: 12 });
      await tx.rollback();
    } finally {
      await tx.rollback();
    }
    must((await sessions.strong(ANNA, item)).amount === 1, 'Half of it was kept.');
    must((await sessions.strong(BERT, item)).amount === 2, 'Half of it was kept.');
    const both = await sessions.begin(ANNA, BERT);
    try {
      await put(both, 0, { account: ANNA, item, amount: 21 });
      await put(both, 1, { account: BERT, item, amount: 22 });
      await both.commit();
    } finally {
      await both.rollback();
    }
    must((await sessions.strong(ANNA, item)).amount === 21, 'The first half is missing.');
    must((await sessions.strong(BERT, item)).amount === 22, 'The second half is missing.');
  },
};

export const TRANSACTION_LAWS: readonly Law[] = [S5, S6, S7, S8, S9, S10];
