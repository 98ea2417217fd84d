/** How fresh a read is: what each kind promises, kept across the distance between nodes. */
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { ANNA, CLEO } from '../schema.ts';
import { replicaRead } from '../sessions.ts';
import type { Stage } from '../stage.ts';

const ROUNDS = 12;
/** Beyond what it was allowed to wait, a reader is let go within this. */
const SLACK_MS = 1_000;
/** Replication between groups, over the longest link of the suite. */
const ARRIVAL_MS = 3_000;
const NEVER = new AbortController().signal;

const S1: Law = {
  id: 'S1',
  says: 'A strong read sees every write that was acknowledged before it began, whoever wrote.',
  check: async (stage) => {
    const [writer, reader] = [stage.sessions(), stage.sessions()];
    const item = stage.nextItem();
    for (let amount = 1; amount <= ROUNDS; amount += 1) {
      await writer.put(ANNA, item, amount);
      const seen = await reader.strong(ANNA, item);
      must(seen.amount === amount, `Wrote ${String(amount)}, then read ${String(seen.amount)}.`);
    }
  },
};

const S2: Law = {
  id: 'S2',
  says: 'A read at least at a position sees what was written there, or is refused in time; never less.',
  claimed: ({ followerReads }) => followerReads.includes('at-least'),
  refuse: (stage) => refusedReplicaRead(stage, { atLeast: true }),
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    const node = sessions.farthest(ANNA);
    for (let amount = 1; amount <= ROUNDS; amount += 1) {
      const atLeast = await sessions.put(ANNA, item, amount);
      const seen = await sessions.replica(node, ANNA, { item, atLeast, waitMs: 5_000 });
      must(seen.amount === amount, `${node}: wrote ${String(amount)}, saw ${String(seen.amount)}.`);
    }
    const written = await sessions.put(ANNA, item, 0);
    const future = { ...written, log: written.log + (1n << 40n) };
    const startedAt = stage.clock.monotonicMs();
    await refusal(
      sessions.replica(node, ANNA, { item, atLeast: future, waitMs: 300 }),
      ['ERR_ENGINE_TOO_STALE'],
      'A read at a position that nobody has reached',
    );
    const tookMs = stage.clock.monotonicMs() - startedAt;
    must(tookMs < 300 + SLACK_MS, `The refusal took ${tookMs.toFixed(0)} ms; 300 were allowed.`);
  },
};

const S3: Law = {
  id: 'S3',
  says: 'A read of bounded staleness is never older than its bound: it is fresh enough, or refused.',
  claimed: ({ followerReads }) => followerReads.includes('bounded'),
  refuse: (stage) => refusedReplicaRead(stage, { maxStalenessMs: 10_000 }),
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    const node = sessions.farthest(ANNA);
    await sessions.put(ANNA, item, 0);
    // Opens the connection, so that the reads that follow are as quick as they can be.
    await sessions.replica(node, ANNA, { item });
    for (let amount = 1; amount <= ROUNDS; amount += 1) {
      await sessions.put(ANNA, item, amount);
      const acknowledgedAt = stage.clock.monotonicMs();
      // Acknowledged now, so a millisecond from now nobody may see less.
      await stage.clock.sleep(2);
      const maxStalenessMs = Math.floor(stage.clock.monotonicMs() - acknowledgedAt) - 1;
      await freshOrRefused(stage, async () => {
        const seen = await sessions.replica(node, ANNA, { item, maxStalenessMs });
        must(
          seen.amount === amount,
          `${node} answered ${String(seen.amount)} when ${String(amount)} was ${String(maxStalenessMs)} ms old.`,
        );
      });
    }
    stage.engine.noteActivity();
    await stage.eventually(`${node} to answer within 5 s`, async () => {
      const read = sessions.replica(node, ANNA, { item, maxStalenessMs: 5_000 });
      return read.then(
        () => true,
        () => false,
      );
    });
  },
};

async function freshOrRefused(stage: Stage, read: () => Promise<void>): Promise<void> {
  stage.engine.noteActivity();
  try {
    await read();
  } catch (error) {
    if (!isMeridianError(error) || error.code !== 'ERR_ENGINE_TOO_STALE') throw error;
  }
}

async function refusedReplicaRead(
  stage: Stage,
  want: { readonly atLeast?: true; readonly maxStalenessMs?: number },
): Promise<void> {
  const sessions = stage.sessions();
  const item = stage.nextItem();
  const position = await sessions.put(ANNA, item, 1);
  const wanted = {
    item,
    ...(want.maxStalenessMs === undefined ? {} : { maxStalenessMs: want.maxStalenessMs }),
    ...(want.atLeast === undefined ? {} : { atLeast: position }),
  };
  await refusal(
    sessions.replica(sessions.farthest(ANNA), ANNA, wanted),
    ['ERR_ENGINE_UNSUPPORTED'],
    'A follower read that is not claimed',
  );
}

const S4: Law = {
  id: 'S4',
  says: 'A write or a strong read on a follower is refused with ERR_ENGINE_STALE_ROUTE or ERR_ENGINE_READ_ONLY, never passed on.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const groupEpoch = sessions.groupEpoch(ANNA);
    const accesses = [
      sessions.writing(ANNA),
      { kind: 'strong-read', groupEpoch } as const,
      // Writing under a read's flag.
      replicaRead(groupEpoch, {}),
    ];
    for (const follower of sessions.followers(ANNA)) {
      const node = await sessions.route(follower.name);
      for (const access of accesses) {
        const tx = await sessions.open(await sessions.target([ANNA], access, node), {
          signal: NEVER,
        });
        const attempt = tx
          .query(0, {
            text:
              access.kind === 'strong-read'
                ? 'SELECT amount FROM item WHERE account_id = $1 AND id = $2'
                : 'UPDATE item SET amount = 2 WHERE account_id = $1 AND id = $2',
            values: [ANNA.id, item],
          })
          .then(() => tx.commit());
        const codes = ['ERR_ENGINE_STALE_ROUTE', 'ERR_ENGINE_READ_ONLY'] as const;
        await refusal(attempt, codes, `${access.kind} on ${follower.name}`);
        await tx.rollback();
      }
    }
    must((await sessions.strong(ANNA, item)).amount === 1, 'What was refused has been written.');
  },
};

const S12: Law = {
  id: 'S12',
  says: 'Positions of a group rise with its commits, and a read tells one that includes what it saw.',
  check: async (stage) => {
    const sessions = stage.sessions();
    const item = stage.nextItem();
    let last = await sessions.put(ANNA, item, 0);
    for (let amount = 1; amount <= 5; amount += 1) {
      const next = await sessions.put(ANNA, item, amount);
      const { position } = await sessions.strong(ANNA, item);
      must(next.group === last.group, 'Positions of one group name different ones.');
      must(next.epoch === last.epoch && next.log > last.log, 'A later commit is not later.');
      must(position.log >= next.log, 'A read that saw the commit tells a position before it.');
      last = next;
    }
    const seen = await sessions.replica(sessions.farthest(ANNA), ANNA, {
      ...{ item, atLeast: last, waitMs: 5_000 },
    });
    must(seen.position.log >= last.log, "A follower's position is before what it was waited for.");
  },
};

/** One row, by a transaction that may write global tables and opens no account. */
async function writeLabel(stage: Stage, code: string): Promise<void> {
  const sessions = stage.sessions();
  const groupEpoch = sessions.groupEpoch(ANNA);
  const base = await sessions.target([ANNA], { kind: 'write', groupEpoch, global: true });
  const scopes = [{ range: undefined, account: undefined }];
  const tx = await sessions.open({ ...base, scopes }, { signal: NEVER });
  try {
    await tx.query(0, { text: `INSERT INTO label VALUES ($1, 'one')`, values: [code] });
    await tx.commit();
  } finally {
    await tx.rollback();
  }
}

const G1: Law = {
  id: 'G1',
  says: 'A row of a global table is written in the primary group and arrives in every group.',
  claimed: ({ localities }) => localities.includes('global'),
  refuse: async (stage) => {
    const write = writeLabel(stage, 'refused');
    await refusal(write, ['ERR_ENGINE_UNSUPPORTED'], 'A write to a global table');
  },
  check: async (stage) => {
    const sessions = stage.sessions();
    const code = `c${String(stage.nextItem())}`;
    await writeLabel(stage, code);
    const arrived = async (): Promise<boolean> => {
      const access = { kind: 'strong-read', groupEpoch: sessions.groupEpoch(CLEO) } as const;
      const target = await sessions.target([CLEO], access);
      const read = await sessions.open(target, { signal: NEVER });
      try {
        const text = 'SELECT body FROM label WHERE code = $1';
        return (await read.query(0, { text, values: [code] })).rows.length === 1;
      } finally {
        await read.rollback();
      }
    };
    await stage.eventually('the row to arrive in the other group', arrived, ARRIVAL_MS);
  },
};

export const CONSISTENCY_LAWS: readonly Law[] = [S1, S2, S3, S4, S12, G1];
