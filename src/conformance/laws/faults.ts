/** What holds while servers die, stand still, or are cut off. */
import type { ObservedGroup } from '../../engines/snapshot.ts';
import { present } from '../../kernel/assert.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { ANNA } from '../schema.ts';
import { put, type Sessions } from '../sessions.ts';
import type { Stage } from '../stage.ts';

/** Long enough for a commit over any link of the suite, short enough for a test. */
const GIVE_UP_MS = 1_500;
const BOUND_MS = 400;

async function group(stage: Stage, name: string): Promise<ObservedGroup> {
  return present((await stage.engine.observe({})).groups[name], `group ${name}`);
}

/** A write is taken again: while a leader comes back, refusals are in order. */
async function writable(stage: Stage, sessions: Sessions, item: number): Promise<void> {
  await stage.eventually('writes to be taken again', () =>
    sessions.put(ANNA, item, 99).then(
      () => true,
      () => false,
    ),
  );
}

const T1: Law = {
  id: 'T1',
  says: 'A leader that dies takes nothing with it that was acknowledged; its group opens at a higher epoch, and the old one is refused.',
  faults: ['kill'],
  check: async (stage) => {
    const sessions = stage.sessions();
    const [item, other] = [stage.nextItem(), stage.nextItem()];
    const name = sessions.groupOf(ANNA);
    const before = await group(stage, name);
    const access = sessions.writing(ANNA);
    await sessions.put(ANNA, item, 7);
    await stage.faults.kill?.(sessions.leader(ANNA));
    await stage.eventually(
      'the group to open again',
      async () =>
        (await group(stage, name)).epoch > before.epoch && (await group(stage, name)).open,
      30_000,
    );
    must((await sessions.strong(ANNA, item)).amount === 7, 'An acknowledged write is gone.');
    const { signal } = new AbortController();
    const tx = await sessions.open(await sessions.target([ANNA], access), { signal });
    const late = put(tx, 0, { account: ANNA, item, amount: 8 });
    await refusal(late, ['ERR_ENGINE_STALE_ROUTE'], 'A write by the route of before');
    await tx.rollback();
    await writable(stage, sessions, other);
  },
};

async function voters(stage: Stage, sessions: Sessions): Promise<string[]> {
  const followers = sessions.followers(ANNA).filter((node) => node.kind === 'voter');
  await streaming(
    stage,
    followers.map((node) => node.name),
  );
  return followers.map((node) => node.name);
}

/** Back in step, so that the next law finds the cluster whole. */
async function streaming(stage: Stage, nodes: readonly string[]): Promise<void> {
  await stage.eventually(
    `${nodes.join(' and ')} to stream`,
    async () => {
      const snapshot = await stage.engine.observe({});
      return nodes.every((node) => snapshot.nodes[node]?.streaming === true);
    },
    30_000,
  );
}

const T2: Law = {
  id: 'T2',
  says: 'With one voter gone, writes go on; it comes back and follows again.',
  faults: ['kill'],
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    const [voter = ''] = await voters(stage, sessions);
    await stage.faults.kill?.(voter);
    for (let amount = 1; amount <= 5; amount += 1) await sessions.put(ANNA, item, amount);
    must((await sessions.strong(ANNA, item)).amount === 5, 'An acknowledged write is gone.');
    await streaming(stage, [voter]);
  },
};

const T3: Law = {
  id: 'T3',
  says: 'Without a quorum no write is acknowledged, and one that was under way has an unknown outcome.',
  faults: ['pause', 'resume'],
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const others = await voters(stage, sessions);
    await Promise.all(others.map(async (node) => stage.faults.pause?.(node)));
    try {
      const giveUp = new AbortController();
      const cancel = stage.clock.schedule(GIVE_UP_MS, () => {
        giveUp.abort();
      });
      const target = await sessions.target([ANNA], sessions.writing(ANNA));
      const tx = await sessions.open(target, giveUp);
      await put(tx, 0, { account: ANNA, item, amount: 2 });
      const error = await refusal(tx.commit(), ['ERR_ENGINE_COMMIT_UNKNOWN'], 'The commit');
      must(error.outcome === 'unknown', `The outcome is said to be ${error.outcome}.`);
      await tx.rollback();
      cancel();
    } finally {
      await Promise.all(others.map(async (node) => stage.faults.resume?.(node)));
    }
    await streaming(stage, others);
    await writable(stage, sessions, item);
  },
};

const T4: Law = {
  id: 'T4',
  says: 'A replica that is cut off refuses bounded reads once it is too old, while its group goes on writing.',
  faults: ['cut', 'heal'],
  claimed: ({ followerReads }) => followerReads.includes('bounded'),
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    const node = sessions.farthest(ANNA);
    const { region } = (await sessions.route(node)).locality;
    await sessions.put(ANNA, item, 1);
    await sessions.replica(node, ANNA, { item });
    await stage.faults.cut?.(region);
    try {
      const cutAt = stage.clock.monotonicMs();
      let refused = false;
      for (let amount = 2; !refused; amount += 1) {
        await sessions.put(ANNA, item, amount);
        stage.engine.noteActivity();
        await stage.clock.sleep(BOUND_MS / 4);
        refused = await tooStale(sessions.replica(node, ANNA, { item, maxStalenessMs: BOUND_MS }));
        const goneMs = stage.clock.monotonicMs() - cutAt;
        must(refused || goneMs < 4 * BOUND_MS, `Cut off for ${goneMs.toFixed(0)} ms, and answers.`);
      }
    } finally {
      await stage.faults.heal?.(region);
    }
    await streaming(stage, [node]);
  },
};

async function tooStale(read: Promise<unknown>): Promise<boolean> {
  try {
    await read;
    return false;
  } catch (error) {
    if (isMeridianError(error) && error.code === 'ERR_ENGINE_TOO_STALE') return true;
    throw error;
  }
}

export const FAULT_LAWS: readonly Law[] = [T4, T3, T2, T1];
