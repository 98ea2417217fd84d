/** Ways for an engine adapter to be wrong: each a thin layer over the real one. */
import type {
  Connector,
  SessionTarget,
  SessionTransaction,
  StatementResult,
  TwoPhaseVerbs,
} from '../../src/engines/connector.ts';
import type { DesiredState, Engine, EngineAdapter, EngineStep } from '../../src/engines/engine.ts';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
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

export const FAR_AHEAD = { group: 'home-1', epoch: 1_000, log: 1n << 50n };
const NOTHING: StatementResult = { rows: [], rowCount: 0, command: 'SELECT', fields: [] };
export const hasCode = (error: unknown, code: string): boolean =>
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
export const sessions =
  (change: (tx: SessionTransaction, target: SessionTarget) => Changes) =>
  (real: Connector): Partial<Connector> => ({
    begin: async (target, options) => {
      const tx = await real.begin(target, options);
      return over(tx, change(tx, target));
    },
  });

/** Every target of a connector, changed. */
export const targets =
  (change: (target: SessionTarget, first: SessionTarget) => SessionTarget) =>
  (real: Connector): Partial<Connector> => {
    let first: SessionTarget | undefined;
    const begin: Begin = (target, options) => {
      first ??= target;
      return real.begin(change(target, first), options);
    };
    return { begin };
  };

export const reads = (
  drop: 'maxStalenessMs' | 'atLeast',
): ((real: Connector) => Partial<Connector>) =>
  targets((target) =>
    target.access.kind === 'replica-read'
      ? { ...target, access: { ...target.access, [drop]: undefined } }
      : target,
  );

export const observing =
  (change: (seen: ClusterSnapshot, life: number) => ClusterSnapshot) =>
  (real: Engine, life: number): Partial<Engine> => ({
    observe: async (options) => change(await real.observe(options), life),
  });

export const planning =
  (change: (steps: readonly EngineStep[]) => readonly EngineStep[]) =>
  (real: Engine): Partial<Engine> => ({
    plan: (desired, seen) => change(real.plan(desired, seen)),
  });

export const groupsWith = (
  seen: ClusterSnapshot,
  change: Partial<ClusterSnapshot['groups'][string]>,
): ClusterSnapshot => ({
  ...seen,
  groups: Object.fromEntries(
    Object.entries(seen.groups).map(([name, group]) => [name, { ...group, ...change }]),
  ),
});

export const without = (
  seen: ClusterSnapshot,
  drop: (node: ClusterSnapshot['nodes'][string], last: boolean) => boolean,
): ClusterSnapshot => {
  const nodes = Object.entries(seen.nodes);
  const kept = nodes.filter(([, node], index) => !drop(node, index === nodes.length - 1));
  return { ...seen, nodes: Object.fromEntries(kept) };
};

/** Runs the statements of a refused transaction again, without telling. */
export function repeating(real: Connector): Partial<Connector> {
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
export function handingOn(real: Connector): Partial<Connector> {
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
export function forwarding(real: Connector): Partial<Connector> {
  let leader: SessionTarget['node'] | undefined;
  return {
    begin: (target, options) => {
      if (target.access.kind === 'write') leader ??= target.node;
      return real.begin({ ...target, node: leader ?? target.node }, options);
    },
  };
}

/** Answers of strong reads, kept for whoever asks the same. */
export function caching(real: Connector): Partial<Connector> {
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
export const unanimous = (real: Connector, engine: () => Engine): Partial<Connector> =>
  sessions((tx) => ({
    commit: async () => {
      const { nodes } = await engine().observe({});
      const silent = Object.values(nodes).some((node) => !/leader|follower/.test(node.role));
      if (silent) throw new MeridianError('ERR_ENGINE_UNAVAILABLE', 'a server does not answer');
      return tx.commit();
    },
  }))(real);

/** What is thrown away is acknowledged. */
export const forgetting = sessions((tx) => ({
  commit: async () => {
    await tx.rollback();
    return FAR_AHEAD;
  },
}));

/** Asks as the account that stands in a statement's values. */
export function unfenced(real: Connector): Partial<Connector> {
  return {
    begin: async (target, options) => {
      const tx = await real.begin(target, options);
      return over(tx, {
        query: async (scope, statement) => {
          const [named] = statement.values;
          const opened = target.scopes[scope];
          if (typeof named !== 'string' || named === opened?.account) {
            return tx.query(scope, statement);
          }
          const scopes = target.scopes.map((one) => ({ ...one, account: named }));
          const other = await real.begin({ ...target, scopes }, options);
          try {
            return await other.query(scope, statement);
          } finally {
            await other.rollback();
          }
        },
      });
    },
  };
}

export function unprepared(real: TwoPhaseVerbs): TwoPhaseVerbs {
  return {
    ...real,
    begin: async (target, options) => {
      const tx = await real.begin(target, options);
      return {
        ...over(tx, {}),
        begun: true,
        prepare: async () => {
          await tx.rollback();
          return { finish: () => Promise.resolve(FAR_AHEAD), leave: () => {} };
        },
        commitDeciding: (gid) => tx.commitDeciding(gid),
      };
    },
  };
}

/** Leaves the first statement of a migration that fails. */
export function leavingHalf(real: Engine): Partial<Engine> {
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
export function journalled(): (real: Engine, life: number) => Partial<Engine> {
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

export const oncePerLife = (real: Engine): Partial<Engine> => {
  const done = new Set<string>();
  return {
    perform: (step, desired) => {
      if (done.has(step.id)) return Promise.reject(new Error(`${step.id} was performed before`));
      done.add(step.id);
      return real.perform(step, desired);
    },
  };
};

export const stopsOnce = (real: Engine): Partial<Engine> => {
  let stopped = false;
  return {
    stop: () => {
      if (stopped) return Promise.reject(new Error('stopped already'));
      stopped = true;
      return real.stop();
    },
  };
};

export const remembers = (real: Engine): Partial<Engine> => {
  let last: ClusterSnapshot = { atMs: 0, nodes: {}, groups: {}, ranges: {} };
  return {
    observe: async (options) => {
      const seen = await real.observe(options).catch(() => undefined);
      last = seen ?? last;
      return last;
    },
  };
};

export const countsPlans = (): ((real: Engine) => Partial<Engine>) => {
  let count = 0;
  return planning((steps) =>
    steps.map((step) => ({ ...step, summary: `${step.summary} (${String((count += 1))})` })),
  );
};

export async function* noChanges(): AsyncGenerator<never> {
  // A stream that has nothing and never will.
}
