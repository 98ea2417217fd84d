/** What a transaction may touch, when the declaration asks for a fence between accounts. */
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { ANNA, ANNE } from '../schema.ts';
import { get, put } from '../sessions.ts';

const S11: Law = {
  id: 'S11',
  says: 'With the tenant fence, a transaction reads, changes and makes rows of the accounts that it opened alone, in the range that it shares with others.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNE, item, 1);
    const tx = await sessions.begin(ANNA);
    must((await get(tx, 0, { account: ANNE, item })) === undefined, "A neighbour's row is seen.");
    for (const text of [
      'UPDATE item SET amount = 2 WHERE id = $1',
      'DELETE FROM item WHERE id = $1',
    ]) {
      const { rowCount } = await tx.query(0, { text, values: [item] });
      must((rowCount ?? 0) === 0, `"${text}" reached ${String(rowCount)} rows of a neighbour.`);
    }
    const text = 'INSERT INTO item (account_id, id, amount) VALUES ($1, $2, 3)';
    const made = tx.query(0, { text, values: [ANNE.id, stage.nextItem()] });
    await refusal(made, ['ERR_ENGINE_PERMISSION', 'ERR_ENGINE_STATEMENT'], "A neighbour's new row");
    await tx.rollback();
    const own = await sessions.begin(ANNA);
    await put(own, 0, { account: ANNA, item, amount: 4 });
    await own.commit();
    must((await sessions.strong(ANNE, item)).amount === 1, "A neighbour's row was changed.");
  },
};

export const FENCE_LAWS: readonly Law[] = [S11];
