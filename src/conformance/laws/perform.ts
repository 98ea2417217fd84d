/** Steps may be performed again, late, and after any crash; each leads to the same end. */
import type { EngineStep } from '../../engines/engine.ts';
import { present } from '../../kernel/assert.ts';
import type { Law } from '../law.ts';
import { must } from '../verdict.ts';
import { ANNA, migration } from '../schema.ts';
import { inOrder, ROUNDS_MAX } from '../steps.ts';
import { Stage } from '../stage.ts';

/** A small cluster of the law's own, on which nothing has been performed. */
async function onFreshCluster(stage: Stage, run: (fresh: Stage) => Promise<void>): Promise<void> {
  const { survive } = stage.shape;
  await using fresh = await Stage.start(stage.subject, { survive, groups: 1 });
  await run(fresh);
}

const planned = async (stage: Stage): Promise<EngineStep[]> =>
  inOrder(stage.engine.plan(stage.desired, await stage.engine.observe({})));

const F1: Law = {
  id: 'F1',
  says: 'A step performed twice is done once, and one of a plan of long ago does no harm to data.',
  check: (stage) =>
    onFreshCluster(stage, async (fresh) => {
      const first = await planned(fresh);
      for (let round = 1; round <= ROUNDS_MAX; round += 1) {
        for (const step of await planned(fresh)) {
          // As it comes back from a journal.
          const kept = JSON.parse(JSON.stringify(step)) as EngineStep;
          await fresh.engine.perform(kept, fresh.desired);
          await fresh.engine.perform(kept, fresh.desired);
        }
      }
      must(
        (await planned(fresh)).length === 0,
        'Steps that were performed twice are planned again.',
      );
      const sessions = fresh.sessions();
      const item = fresh.nextItem();
      const before = await sessions.put(ANNA, item, 1);
      for (const step of first) await fresh.engine.perform(step, fresh.desired);
      await fresh.converge();
      const seen = await sessions.strong(ANNA, item);
      must(seen.amount === 1, 'What was acknowledged is gone.');
      must(seen.position.epoch >= before.epoch, "The group's epoch went back.");
    }),
};

/**
 * One life after the other: each performs one step more than the life before, begins the next one, and
 * is killed. So every kind of step is the last that was done, and the one that was cut short.
 */
const F2: Law = {
  id: 'F2',
  says: 'Killed at any boundary between steps, and just after the next began, the next life converges.',
  check: (stage) =>
    onFreshCluster(stage, async (fresh) => {
      for (let steps = 0; ; steps += 1) {
        const plan = await planned(fresh);
        if (steps >= plan.length) break;
        for (const step of plan.slice(0, steps)) await fresh.engine.perform(step, fresh.desired);
        const begun = fresh.engine.perform(present(plan[steps], 'a step'), fresh.desired);
        fresh.engine.kill();
        // It may fail or be done; it must not go on behind the back of the next life.
        await begun.catch(() => {});
        await fresh.engine.stop();
        const left = fresh.cluster.running();
        must(left.length === 0, `Killed, and still running: ${left.join(', ')}.`);
        await fresh.reopen();
      }
      await fresh.converge();
      const sessions = fresh.sessions();
      const item = fresh.nextItem();
      await sessions.put(ANNA, item, 1);
      fresh.engine.kill();
      await fresh.closeSessions();
      await fresh.engine.stop();
      await fresh.reopen();
      await fresh.converge();
      must((await fresh.sessions().strong(ANNA, item)).amount === 1, 'A write did not outlive it.');
    }),
};

const BROKEN = `CREATE TABLE extra (account_id text, id bigint, PRIMARY KEY (account_id, id));
SELECT nothing FROM nowhere;`;
const MENDED = `CREATE TABLE extra (account_id text, id bigint, PRIMARY KEY (account_id, id));`;

const F3: Law = {
  id: 'F3',
  says: 'A migration is applied whole or not at all: mended, one that failed half-way runs from its beginning.',
  claimed: ({ transactionalDdl }) => transactionalDdl,
  check: async (stage) => {
    const extra = (text: string): Stage['desired'] => ({
      ...stage.desired,
      regionalMigrations: [
        ...stage.desired.regionalMigrations,
        migration('regional', '0002_extra.sql', text),
      ],
    });
    const broken = extra(BROKEN);
    const steps = stage.engine.plan(broken, await stage.engine.observe({}));
    must(steps.length > 0, 'A migration that was not applied is not planned.');
    const failures: unknown[] = [];
    for (const step of inOrder(steps)) {
      await stage.engine.perform(step, broken).catch((error: unknown) => failures.push(error));
    }
    must(failures.length > 0, 'A migration with a wrong statement was applied.');
    stage.desired = {
      ...extra(MENDED),
      tables: { ...stage.desired.tables, extra: { kind: 'regional', by: 'account_id' } },
    };
    await stage.converge();
  },
};

export const PERFORM_LAWS: readonly Law[] = [F3, F1, F2];
