/** What is opened is closed, and closed means closed. */
import { connect } from 'node:net';
import type { Engine } from '../../engines/engine.ts';
import { present } from '../../kernel/assert.ts';
import type { Address } from '../../topology/routing.ts';
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';
import { ANNA } from '../schema.ts';
import { get, put } from '../sessions.ts';
import type { Stage } from '../stage.ts';

/** How long a caller that gives up may have to wait for being let go. */
const PROMPT_MS = 250;

/** What keeps this process alive or the system's tables full, by kind. */
const HELD = /^(TCP|Pipe|Process|Timeout)/;

function held(): number {
  return process.getActiveResourcesInfo().filter((kind) => HELD.test(kind)).length;
}

function accepts({ host, port }: Address): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const answer = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.on('connect', () => {
      answer(true);
    });
    socket.on('error', () => {
      answer(false);
    });
  });
}

/** A life of its own, in which something was used. */
async function usedEngine(stage: Stage): Promise<Engine> {
  await stage.reopen();
  await stage.engine.observe({});
  return stage.engine;
}

const L1: Law = {
  id: 'L1',
  says: 'After dispose nothing is left: no process, no listening address, no handle.',
  check: async (stage) => {
    const sessions = stage.sessions();
    await sessions.strong(ANNA, stage.nextItem());
    await stage.closeSessions();
    const addresses = stage.engine.routes().nodes.map((node) => node.address);
    await stage.engine[Symbol.asyncDispose]();
    if (stage.adapter.capabilities.lifecycle === 'managed') {
      const left = stage.cluster.running();
      must(left.length === 0, `Still running: ${left.join(', ')}.`);
      const open = await Promise.all(addresses.map(accepts));
      must(!open.includes(true), 'An address of the engine still accepts connections.');
    }
    const before = held();
    const engine = await usedEngine(stage);
    await engine[Symbol.asyncDispose]();
    await stage.eventually('handles to be released', async () => held() <= before, 3_000);
    await stage.restart();
  },
};

const L2: Law = {
  id: 'L2',
  says: 'Dispose may be called again and at the same time; each call resolves when nothing is left.',
  check: async (stage) => {
    const { engine } = stage;
    const sessions = stage.sessions();
    await sessions.strong(ANNA, stage.nextItem());
    const { connector } = sessions;
    await Promise.all([connector[Symbol.asyncDispose](), connector[Symbol.asyncDispose]()]);
    await connector[Symbol.asyncDispose]();
    const ends = [engine[Symbol.asyncDispose](), engine.stop(), engine[Symbol.asyncDispose]()];
    const first = await Promise.race(ends.map(async (end) => end.then(() => running(stage))));
    must(first === 0, 'A call resolved while processes of the engine still ran.');
    await Promise.all(ends);
    await engine.stop();
    await stage.restart();
  },
};

function running(stage: Stage): number {
  const managed = stage.adapter.capabilities.lifecycle === 'managed';
  return managed ? stage.cluster.running().length : 0;
}

const L3: Law = {
  id: 'L3',
  says: 'Every call after dispose that would touch the cluster throws ERR_ENGINE_CLOSED.',
  check: async (stage) => {
    const { engine, desired } = stage;
    const sessions = stage.sessions();
    const target = await sessions.target([ANNA], sessions.writing(ANNA));
    const step = present(engine.plan(desired, EMPTY)[0], 'a step');
    await sessions.connector[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    const { signal } = new AbortController();
    const calls: Readonly<Record<string, () => Promise<unknown>>> = {
      observe: () => engine.observe({}),
      perform: () => engine.perform(step, desired),
      adopt: async () => {
        engine.adopt(desired);
      },
      begin: () => sessions.open(target, { signal }),
      ...(stage.adapter.capabilities.changeOrder === 'none'
        ? {}
        : { changes: () => engine.changes(undefined) }),
    };
    for (const [name, call] of Object.entries(calls)) {
      await refusal(call(), ['ERR_ENGINE_CLOSED'], `'${name}' after dispose`);
    }
    await stage.restart();
  },
};

const EMPTY = { atMs: 0, nodes: {}, groups: {}, ranges: {} } as const;

const L4: Law = {
  id: 'L4',
  says: `An aborted signal rejects within ${String(PROMPT_MS)} ms with ERR_ABORTED, which names what was aborted.`,
  check: async (stage) => {
    const { engine } = stage;
    const sessions = stage.sessions();
    const item = stage.nextItem();
    await sessions.put(ANNA, item, 1);
    const target = await sessions.target([ANNA], sessions.writing(ANNA));
    await abortsPromptly(stage, /observ/, (signal) => engine.observe({ signal }));
    await refusal(
      sessions.open(target, { signal: AbortSignal.abort() }),
      ['ERR_ABORTED'],
      'A session with an aborted signal',
    );
    const holder = await sessions.begin(ANNA);
    await put(holder, 0, { account: ANNA, item, amount: 2 });
    const giveUp = new AbortController();
    const waiter = await sessions.open(target, { signal: giveUp.signal });
    // It waits for the other's row.
    await abortsPromptly(
      stage,
      /statement/,
      (signal) => {
        signal.addEventListener('abort', () => {
          giveUp.abort();
        });
        return put(waiter, 0, { account: ANNA, item, amount: 3 });
      },
      100,
    );
    await waiter.rollback();
    must((await get(holder, 0, { account: ANNA, item })) === 2, 'Another transaction was touched.');
    await holder.rollback();
    must((await sessions.strong(ANNA, item)).amount === 1, 'What was aborted has been done.');
  },
};

async function abortsPromptly(
  stage: Stage,
  names: RegExp,
  ...[begin, afterMs = 0]: [(signal: AbortSignal) => Promise<unknown>, number?]
): Promise<void> {
  const { clock } = stage;
  const giveUp = new AbortController();
  const attempt = begin(giveUp.signal);
  attempt.catch(() => {});
  if (afterMs > 0) await clock.sleep(afterMs);
  const askedAt = clock.monotonicMs();
  giveUp.abort();
  const error = await refusal(attempt, ['ERR_ABORTED'], 'What was aborted');
  const tookMs = clock.monotonicMs() - askedAt;
  must(tookMs <= PROMPT_MS, `It took ${tookMs.toFixed(0)} ms to let go.`);
  must(names.test(error.message), `The message does not say what was aborted: ${error.message}.`);
}

export const LIFECYCLE_LAWS: readonly Law[] = [L4, L1, L2, L3];
