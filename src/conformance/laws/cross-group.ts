/** Transactions over accounts of two groups. */
import { must, refusal, type Law } from '../law.ts';
import { ANNA, CLEO } from '../schema.ts';
import { put } from '../sessions.ts';

const X1: Law = {
  id: 'X1',
  says: 'A transaction over two groups is atomic where that is claimed, and otherwise refused before anything is done.',
  claimed: ({ crossGroupTransactions }) => crossGroupTransactions,
  check: async () => {
    must(false, 'The port has no way yet to ask for one, so no engine can claim it.');
  },
  refuse: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const tx = await sessions.begin(ANNA, CLEO);
    try {
      const write = put(tx, 0, { account: ANNA, item, amount: 2 });
      const codes = ['ERR_ENGINE_UNSUPPORTED', 'ERR_ENGINE_STALE_ROUTE'] as const;
      await refusal(write, codes, 'A transaction over two groups');
    } finally {
      await tx.rollback();
    }
    must((await sessions.strong(ANNA, item)).amount === 1, 'Half of it was done.');
  },
};

export const CROSS_GROUP_LAWS: readonly Law[] = [X1];
