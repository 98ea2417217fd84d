/** One cluster of the suite with the engine that runs on it at the moment, and sessions to its nodes. */
import type { DesiredState, Engine, EngineAdapter } from '../engines/engine.ts';
import { waitUntil, type Clock } from '../kernel/clock.ts';
import { desiredFor, shapeFor } from './schema.ts';
import { Sessions } from './sessions.ts';
import { converge } from './steps.ts';
import type { ClusterShape, EngineSubject, FaultControls, SubjectCluster } from './subject.ts';
import type { SurvivalGoal } from '../topology/survival.ts';

interface StageParts {
  readonly subject: EngineSubject;
  readonly cluster: SubjectCluster;
  readonly shape: ClusterShape;
  readonly desired: DesiredState;
  readonly engine: Engine;
}

export class Stage implements AsyncDisposable {
  readonly subject: EngineSubject;
  readonly cluster: SubjectCluster;
  readonly shape: ClusterShape;
  readonly clock: Clock;
  desired: DesiredState;
  engine: Engine;
  readonly #sessions = new Set<Sessions>();
  #items = 0;

  constructor(parts: StageParts) {
    this.subject = parts.subject;
    this.cluster = parts.cluster;
    this.shape = parts.shape;
    this.desired = parts.desired;
    this.engine = parts.engine;
    this.clock = parts.cluster.services().clock;
  }

  /** A new cluster, on which nothing has been performed yet. */
  static async start(
    subject: EngineSubject,
    options: { readonly survive: SurvivalGoal; readonly groups: 1 | 2 },
  ): Promise<Stage> {
    const shape = shapeFor(options.survive);
    const desired = desiredFor(shape, options.groups);
    const cluster = await subject.start(shape);
    try {
      const engine = await subject.adapter.open(subject.options, cluster.services());
      engine.adopt(desired);
      return new Stage({ subject, cluster, shape, desired, engine });
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get adapter(): EngineAdapter {
    return this.subject.adapter;
  }

  get faults(): FaultControls {
    return this.cluster.faults;
  }

  /** A number that no other law uses on this cluster. */
  nextItem(): number {
    return (this.#items += 1);
  }

  converge(): Promise<void> {
    return converge(this.engine, this.desired);
  }

  /** The next life of the control side; the one before has ended. */
  async reopen(): Promise<void> {
    this.engine = await this.adapter.open(this.subject.options, this.cluster.services());
    this.engine.adopt(this.desired);
  }

  async restart(): Promise<void> {
    await this.engine.stop();
    await this.reopen();
    await this.converge();
  }

  /** Ended with the stage, if not before. */
  sessions(connectionsMax = 10): Sessions {
    const sessions = new Sessions(this, connectionsMax);
    this.#sessions.add(sessions);
    return sessions;
  }

  /** Waits until it holds; what a law waits for, it names. */
  eventually(what: string, holds: () => Promise<boolean>, timeoutMs = 15_000): Promise<unknown> {
    return waitUntil(this.clock, { what, timeoutMs, intervalMs: 50 }, async () =>
      (await holds()) ? true : undefined,
    );
  }

  /** The same running cluster under another adapter: how broken ones are held against the laws. */
  under(subject: EngineSubject, engine: Engine): Stage {
    const { cluster, shape, desired } = this;
    const stage = new Stage({ subject, cluster, shape, desired, engine });
    stage.#items = this.#items += 1_000;
    return stage;
  }

  async closeSessions(): Promise<void> {
    const open = [...this.#sessions];
    this.#sessions.clear();
    await Promise.all(open.map((sessions) => sessions[Symbol.asyncDispose]()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.closeSessions();
      await this.engine.stop();
    } finally {
      await this.cluster[Symbol.asyncDispose]();
    }
  }
}
