/**
 * Engine adapters that are wrong in one way each: the real one with a thin layer over it. Every law of
 * the conformance suite has one here that it must catch.
 */
import type {
  Connector,
  SessionTarget,
  SessionTransaction,
  StatementResult,
} from '../../src/engines/connector.ts';
import type { DesiredState, Engine, EngineAdapter, EngineStep } from '../../src/engines/engine.ts';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError, MeridianError } from '../../src/kernel/errors.ts';
import { migration } from '../../src/conformance/schema.ts';

export interface Broken {
  /** The law that it breaks. */
  readonly law: string;
  readonly does: string;
  readonly adapter?: (real: EngineAdapter) => Partial<EngineAdapter>;
  /** `life` counts the engines opened over one cluster, from 0. */
  readonly engine?: (real: Engine, life: number) => Partial<Engine>;
  readonly connector?: (real: Connector, engine: () => Engine) => Partial<Connector>;
}

type Begin = Connector['begin'];
type Changes = Partial<SessionTransaction>;

const FAR_AHEAD = { group: 'home-1', epoch: 1_000, log: 1n << 50n };
const NOTHING: StatementResult = { rows: [], rowCount: 0, command: 'SELECT', fields: [] };
const hasCode = (error: unknown, code: string): boolean =>
  isMeridianError(error) && error.code === code;

/** A session's methods, with some of them replaced. */
function over(tx: SessionTransaction, changes: Changes): SessionTransaction {
  return {
    get failure() {
      return tx.failure;
    },
    query: (scope, statement) => tx.query(scope, statement),
    savepoint: (name) => tx.savepoint(name),
    release: (name) => tx.release(name),
    rollbackTo: (name) => tx.rollbackTo(name),
    commit: () => tx.commit(),
    rollback: () => tx.rollback(),
    ...changes,
  };
}

/** Every session of a connector, changed. */
const sessions =
  (change: (tx: SessionTransaction, target: SessionTarget) => Changes) =>
  (real: Connector): Partial<Connector> => ({
    begin: async (target, options) => {
      const tx = await real.begin(target, options);
      return over(tx, change(tx, target));
    },
  });

/** Every target of a connector, changed. */
const targets =
  (change: (target: SessionTarget, first: SessionTarget) => SessionTarget) =>
  (real: Connector): Partial<Connector> => {
    let first: SessionTarget | undefined;
    const begin: Begin = (target, options) => {
      first ??= target;
      return real.begin(change(target, first), options);
    };
    return { begin };
  };

const reads = (drop: 'maxStalenessMs' | 'atLeast') =>
  targets((target) =>
    target.access.kind === 'replica-read'
      ? { ...target, access: { ...target.access, [drop]: undefined } }
      : target,
  );

const observing =
  (change: (seen: ClusterSnapshot, life: number) => ClusterSnapshot) =>
  (real: Engine, life: number): Partial<Engine> => ({
    observe: async (options) => change(await real.observe(options), life),
  });

const planning =
  (change: (steps: readonly EngineStep[]) => readonly EngineStep[]) =>
  (real: Engine): Partial<Engine> => ({
    plan: (desired, seen) => change(real.plan(desired, seen)),
  });

const groupsWith = (
  seen: ClusterSnapshot,
  change: Partial<ClusterSnapshot['groups'][string]>,
): ClusterSnapshot => ({
  ...seen,
  groups: Object.fromEntries(
    Object.entries(seen.groups).map(([name, group]) => [name, { ...group, ...change }]),
  ),
});

const without = (
  seen: ClusterSnapshot,
  drop: (node: ClusterSnapshot['nodes'][string], last: boolean) => boolean,
): ClusterSnapshot => {
  const nodes = Object.entries(seen.nodes);
  const kept = nodes.filter(([, node], index) => !drop(node, index === nodes.length - 1));
  return { ...seen, nodes: Object.fromEntries(kept) };
};

/** Runs the statements of a refused transaction again, without telling. */
function repeating(real: Connector): Partial<Connector> {
  return {
    begin: async (target, options) => {
      const tx = await real.begin(target, options);
      const said: Parameters<SessionTransaction['query']>[] = [];
      let refused = false;
      const again = async (): ReturnType<SessionTransaction['commit']> => {
        await tx.rollback();
        const second = await real.begin(target, options);
        for (const statement of said) await second.query(...statement);
        return second.commit();
      };
      return over(tx, {
        query: async (...statement) => {
          said.push(statement);
          if (refused) return NOTHING;
          try {
            return await tx.query(...statement);
          } catch (error) {
            refused = hasCode(error, 'ERR_ENGINE_SERIALIZATION');
            if (refused) return NOTHING;
            throw error;
          }
        },
        commit: async () => {
          try {
            return await (refused ? again() : tx.commit());
          } catch (error) {
            if (hasCode(error, 'ERR_ENGINE_SERIALIZATION')) return again();
            throw error;
          }
        },
      });
    },
  };
}

/** Hands the transaction that somebody left to the next who asks. */
function handingOn(real: Connector): Partial<Connector> {
  let left: SessionTransaction | undefined;
  return {
    begin: async (target, options) => {
      const tx = left ?? (await real.begin(target, options));
      left = undefined;
      let ended = false;
      return over(tx, {
        commit: async () => {
          const position = await tx.commit();
          ended = true;
          return position;
        },
        rollback: async () => {
          if (!ended) left = tx;
        },
      });
    },
    [Symbol.asyncDispose]: async () => {
      await left?.rollback();
      await real[Symbol.asyncDispose]();
    },
  };
}

/** Of the first writer's node, whatever node is asked for. */
function forwarding(real: Connector): Partial<Connector> {
  let leader: SessionTarget['node'] | undefined;
  return {
    begin: (target, options) => {
      if (target.access.kind === 'write') leader ??= target.node;
      return real.begin({ ...target, node: leader ?? target.node }, options);
    },
  };
}

/** Answers of strong reads, kept for whoever asks the same. */
function caching(real: Connector): Partial<Connector> {
  const kept = new Map<string, StatementResult>();
  return sessions((tx, { access }) =>
    access.kind === 'strong-read'
      ? {
          query: async (scope, statement) => {
            const key = JSON.stringify([scope, statement.text, statement.values]);
            const answer = kept.get(key) ?? (await tx.query(scope, statement));
            kept.set(key, answer);
            return answer;
          },
        }
      : {},
  )(real);
}

/** Commits only while every server of the cluster answers. */
const unanimous = (real: Connector, engine: () => Engine): Partial<Connector> =>
  sessions((tx) => ({
    commit: async () => {
      const { nodes } = await engine().observe({});
      const silent = Object.values(nodes).some((node) => !/leader|follower/.test(node.role));
      if (silent) throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'a server does not answer');
      return tx.commit();
    },
  }))(real);

/** What is thrown away is acknowledged. */
const forgetting = sessions((tx) => ({
  commit: async () => {
    await tx.rollback();
    return FAR_AHEAD;
  },
}));

/** Leaves the first statement of a migration that fails. */
function leavingHalf(real: Engine): Partial<Engine> {
  return {
    perform: async (step, desired) => {
      try {
        return await real.perform(step, desired);
      } catch (error) {
        const half = desired.regionalMigrations.map((file) =>
          file.name.startsWith('0002')
            ? migration('regional', file.name, 'CREATE TABLE half (account_id text PRIMARY KEY);')
            : file,
        );
        await real.perform(step, { ...desired, regionalMigrations: half });
        throw error;
      }
    },
  };
}

/** Takes a step that an earlier life began for a reason to stop. */
function journalled(): (real: Engine, life: number) => Partial<Engine> {
  const begun = new Map<string, number>();
  return (real, life) => ({
    perform: (step: EngineStep, desired: DesiredState) => {
      const before = begun.get(step.id) ?? life;
      begun.set(step.id, life);
      return before < life
        ? Promise.reject(new Error(`${step.id} was begun in an earlier life`))
        : real.perform(step, desired);
    },
  });
}

const oncePerLife = (real: Engine): Partial<Engine> => {
  const done = new Set<string>();
  return {
    perform: (step, desired) => {
      if (done.has(step.id)) return Promise.reject(new Error(`${step.id} was performed before`));
      done.add(step.id);
      return real.perform(step, desired);
    },
  };
};

const stopsOnce = (real: Engine): Partial<Engine> => {
  let stopped = false;
  return {
    stop: () => {
      if (stopped) return Promise.reject(new Error('stopped already'));
      stopped = true;
      return real.stop();
    },
  };
};

const remembers = (real: Engine): Partial<Engine> => {
  let last: ClusterSnapshot = { atMs: 0, nodes: {}, groups: {}, ranges: {} };
  return {
    observe: async (options) => {
      const seen = await real.observe(options).catch(() => undefined);
      last = seen ?? last;
      return last;
    },
  };
};

const countsPlans = (): ((real: Engine) => Partial<Engine>) => {
  let count = 0;
  return planning((steps) =>
    steps.map((step) => ({ ...step, summary: `${step.summary} (${String((count += 1))})` })),
  );
};

async function* noChanges(): AsyncGenerator<never> {
  // A stream that has nothing and never will.
}

/** In about the order of LAWS. */
export const BROKEN_ENGINES: readonly Broken[] = [
  {
    law: 'K1',
    does: 'claims more on the adapter than on the engine',
    adapter: (real) => ({ capabilities: { ...real.capabilities, rehome: 'copy' } }),
  },
  {
    law: 'C1',
    does: 'gives an empty stream of changes instead of refusing',
    engine: () => ({ changes: () => Promise.resolve(noChanges()) }),
  },
  {
    law: 'C1',
    does: 'claims a change stream that it does not have',
    adapter: (real) => ({ capabilities: { ...real.capabilities, changeOrder: 'transaction' } }),
  },
  { law: 'S1', does: 'answers strong reads from a cache', connector: caching },
  { law: 'S2', does: 'reads at whatever position the replica is', connector: reads('atLeast') },
  { law: 'S3', does: 'forgets the bound of a read', connector: reads('maxStalenessMs') },
  { law: 'S4', does: 'passes on to the leader what a follower is asked', connector: forwarding },
  {
    law: 'S12',
    does: 'gives every commit the same position',
    connector: sessions((tx) => ({ commit: async () => ({ ...(await tx.commit()), log: 1n }) })),
  },
  {
    law: 'G1',
    does: 'takes writes of global tables and drops them',
    connector: (real) => ({
      begin: (target, options) =>
        target.access.kind === 'write' && target.access.global
          ? (forgetting(real).begin ?? real.begin)(target, options)
          : real.begin(target, options),
    }),
  },
  {
    law: 'S5',
    does: 'reports success for a commit that it has not heard of',
    connector: sessions((tx) => ({
      commit: () =>
        tx.commit().catch((error: unknown) => {
          if (hasCode(error, 'ERR_ENGINE_COMMIT_UNKNOWN')) return FAR_AHEAD;
          throw error;
        }),
    })),
  },
  { law: 'S6', does: 'repeats a refused transaction blindly', connector: repeating },
  {
    law: 'S7',
    does: 'replaces the epochs of a route by ones that fit',
    connector: targets((target, first) => ({
      ...target,
      access: { ...target.access, groupEpoch: first.access.groupEpoch },
      scopes: first.scopes,
    })),
  },
  {
    law: 'S8',
    does: 'commits what is rolled back',
    connector: sessions((tx) => ({
      rollback: async () => {
        await tx.commit().catch(() => {});
        await tx.rollback();
      },
    })),
  },
  { law: 'S9', does: 'hands a transaction that was left to the next caller', connector: handingOn },
  {
    law: 'S10',
    does: 'runs every statement in the first scope',
    connector: sessions((tx) => ({ query: (_, statement) => tx.query(0, statement) })),
  },
  {
    law: 'X1',
    does: 'runs the first half of a transaction over two groups',
    connector: targets((target) => ({ ...target, scopes: target.scopes.slice(0, 1) })),
  },
  {
    law: 'T4',
    does: 'answers from a replica that was cut off',
    connector: reads('maxStalenessMs'),
  },
  {
    law: 'T3',
    does: 'acknowledges a commit that takes too long',
    connector: sessions((tx) => ({
      commit: () => Promise.race([tx.commit(), systemClock.sleep(300).then(() => FAR_AHEAD)]),
    })),
  },
  { law: 'T2', does: 'commits only while every server answers', connector: unanimous },
  { law: 'T1', does: 'acknowledges what it keeps nowhere', connector: forgetting },
  {
    law: 'O1',
    does: 'gives a snapshot that can be changed',
    engine: observing((seen) => structuredClone(seen)),
  },
  {
    law: 'O2',
    does: 'leaves a node out',
    engine: observing((seen) => without(seen, (_, last) => last)),
  },
  {
    law: 'O3',
    does: 'counts epochs anew in each life',
    engine: observing((seen, life) => (life === 0 ? seen : groupsWith(seen, { epoch: 1 }))),
  },
  {
    law: 'O4',
    does: 'leaves out what does not answer',
    engine: observing((seen) => without(seen, (node) => node.role === 'unknown')),
  },
  { law: 'P1', does: 'plans differently each time', engine: countsPlans() },
  {
    law: 'P2',
    does: 'always finds something to do',
    engine: planning((steps) => [
      ...steps,
      { ...{ id: 'look', summary: 'look', effect: 'metadata', after: [] }, action: {} },
    ]),
  },
  {
    law: 'P5',
    does: 'plans steps that hold more than data',
    engine: planning((steps) => steps.map((step) => ({ ...step, action: new Date(0) }))),
  },
  {
    law: 'P6',
    does: 'plans a step twice',
    engine: planning((steps) => [...steps, ...steps.slice(0, 1)]),
  },
  { law: 'P3', does: 'plans nothing in a new life', engine: planning(() => []) },
  {
    law: 'P4',
    does: 'opens a group before it has a quorum',
    engine: observing((seen) => groupsWith(seen, { open: true })),
  },
  {
    law: 'L4',
    does: 'does not hear of an abort',
    engine: (real) => ({ observe: () => real.observe({}) }),
  },
  { law: 'L1', does: 'leaves its servers running', engine: () => ({ stop: async () => {} }) },
  { law: 'L2', does: 'stops once and never again', engine: stopsOnce },
  { law: 'L3', does: 'answers from memory when it is closed', engine: remembers },
  { law: 'F1', does: 'cannot perform a step twice', engine: oncePerLife },
  { law: 'F2', does: 'does not take up what an earlier life began', engine: journalled() },
  // The last: what it leaves in the cluster stays there.
  { law: 'F3', does: 'leaves half of a migration that failed', engine: leavingHalf },
];
