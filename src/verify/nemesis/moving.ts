/**
 * Plays one move: step by step, through the same controls that an operator has. Whatever it left in
 * force is undone when it ends, however it ends.
 */
import type { ChaosRequest } from '../../control/chaos.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { firstOf } from '../../kernel/signal.ts';
import type { PlannedMove } from './plan.ts';
import {
  betweenVoters,
  cutsOf,
  ledBy,
  ledIn,
  nextInLine,
  nodesOf,
  placesOf,
  processesOf,
} from './scene.ts';
import { beginRangeStep } from './ranging.ts';
import type { Stage } from './stage.ts';
import type { RangeStep, Step, Who } from './steps.ts';

interface InForce {
  readonly id: string;
  readonly by: Step['do'];
  readonly of: Who['of'] | undefined;
  readonly over: () => void;
}

const CANCEL_INTERVAL_MS = 120;
const SWITCHOVER_TIMEOUT_MS = 15_000;

export class Moving {
  readonly #stage: Stage;
  readonly #move: PlannedMove;
  readonly #inForce: InForce[] = [];
  readonly #deaf: (() => void)[] = [];
  readonly #epochs = new Map<string, number>();
  /** A range, or accounts. */
  #onItsWay: Promise<void> | undefined;

  constructor(stage: Stage, move: PlannedMove) {
    this.#stage = stage;
    this.#move = move;
  }

  /** Rejects with what a step failed with, after undoing the steps before. */
  async play(): Promise<void> {
    const { view } = this.#stage.control;
    for (const group of this.#move.lanes) {
      this.#epochs.set(group, view.groups[group]?.epoch ?? 0);
    }
    try {
      for (const step of this.#move.steps) {
        this.#stage.signal.throwIfAborted();
        if (!(await this.#step(step))) break;
      }
    } finally {
      this.#hear();
      await this.#heal({ do: 'heal' });
      await this.#onItsWay?.catch(() => {});
    }
  }

  /** False: what the rest of the move rests on did not come. */
  async #step(step: Step): Promise<boolean> {
    const { clock, signal } = this.#stage;
    switch (step.do) {
      case 'kill':
      case 'stop':
      case 'restart':
        await this.#strike(step);
        return true;
      case 'cut':
      case 'slow':
        await this.#disturb(step);
        return true;
      case 'separate':
        await this.#separate(step);
        return true;
      case 'skew':
        await this.#skew(step);
        return true;
      case 'deafen':
        this.#deafen(step);
        return true;
      case 'hear':
        this.#hear();
        return true;
      case 'pause':
        await clock.sleep(step.ms, signal);
        return true;
      case 'await-open':
        return (await this.#reopened(step.group, step.timeoutMs)) || step.orGoOn === true;
      case 'switchover':
        await this.#switchover(step.group);
        return true;
      case 'begin-move':
      case 'begin-rehome':
      case 'begin-split':
      case 'begin-merge':
        await this.#begin(step);
        return true;
      case 'end-move':
        await this.#onItsWay;
        return true;
      case 'cancel-waits':
        await this.#cancelWaits(step);
        return true;
      case 'heal':
        await this.#heal(step);
        return true;
    }
  }

  async #inject(step: Step, request: ChaosRequest, struck: readonly string[]): Promise<void> {
    const { platform, injections } = this.#stage;
    const fault = await platform.chaos.inject(request);
    const over = injections.add({ what: fault.summary, kind: this.#move.kind, struck });
    const of = 'who' in step ? step.who.of : undefined;
    if (fault.lasting) this.#inForce.push({ id: fault.id, by: step.do, of, over });
  }

  async #strike(step: Extract<Step, { readonly as: string }>): Promise<void> {
    const scene = this.#stage.scene();
    const names = processesOf(scene, step.who);
    // Both followers at once, or the first would be missed before the second is gone.
    const struck = await Promise.allSettled(
      names.map(async (name) => {
        const target = { kind: step.as, name } as const;
        try {
          await this.#inject(step, { action: step.do, target }, ledBy(scene, [name]));
        } catch (error) {
          // An app server or gateway that is on its way back is as good as struck.
          if ('group' in step.who || !isMeridianError(error, 'ERR_CHAOS_REFUSED')) throw error;
        }
      }),
    );
    // After all of them: what is undone has to be in force by then.
    const failed = struck.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #disturb(step: Extract<Step, { readonly do: 'cut' | 'slow' }>): Promise<void> {
    const scene = this.#stage.scene();
    for (const place of placesOf(scene, step.who)) {
      const struck = ledIn(scene, [place]);
      for (const target of cutsOf(scene, place, step.do === 'cut' ? step.way : 'both')) {
        const request: ChaosRequest =
          step.do === 'cut'
            ? { action: 'partition', target }
            : { action: 'slow', target, addMs: step.addMs };
        await this.#inject(step, request, struck);
      }
    }
  }

  async #separate(step: Extract<Step, { readonly do: 'separate' }>): Promise<void> {
    const scene = this.#stage.scene();
    for (const { from, to } of betweenVoters(scene, step.who)) {
      const struck = ledIn(scene, [from]);
      const target = { kind: 'link', from, to } as const;
      await this.#inject(step, { action: 'partition', target }, struck);
    }
  }

  async #skew(step: Extract<Step, { readonly do: 'skew' }>): Promise<void> {
    const scene = this.#stage.scene();
    for (const { name } of nodesOf(scene, step.who)) {
      const target = { kind: 'node', name } as const;
      const { offsetMs } = step;
      await this.#inject(step, { action: 'skew', target, offsetMs }, ledBy(scene, [name]));
    }
  }

  #deafen(step: Extract<Step, { readonly do: 'deafen' }>): void {
    for (const { region, zone } of placesOf(this.#stage.scene(), step.who)) {
      for (const client of this.#stage.placed) {
        const beside = client.region === region && (zone === undefined || client.zone === zone);
        if (beside) this.#deaf.push(client.relay.hold());
      }
    }
  }

  #hear(): void {
    for (const release of this.#deaf.splice(0)) release();
  }

  async #reopened(group: string, timeoutMs: number): Promise<boolean> {
    const { clock, control, signal } = this.#stage;
    const before = this.#epochs.get(group) ?? 0;
    const patience = new AbortController();
    const cancel = clock.schedule(timeoutMs, () => patience.abort());
    using either = firstOf(signal, patience.signal);
    try {
      for (;;) {
        const { view } = control;
        const now = view.groups[group];
        if (now?.leader !== undefined && now.epoch > before) {
          this.#epochs.set(group, now.epoch);
          return true;
        }
        await control.newerThan(view.version, either.signal);
      }
    } catch (error) {
      signal.throwIfAborted();
      if (patience.signal.aborted) return false;
      throw error;
    } finally {
      cancel();
    }
  }

  async #switchover(group: string): Promise<void> {
    const { clock, platform, injections } = this.#stage;
    const scene = this.#stage.scene();
    const to = nextInLine(scene, group)?.locality;
    if (to === undefined) return;
    const place = scene.layout === 'region' ? { region: to.region } : { zone: to.zone };
    const what = `switchover of ${group} to ${Object.values(place).join()}`;
    const over = injections.add({ what, kind: this.#move.kind, struck: [group] });
    // The end of the load does not interrupt it: it is to be seen through.
    const patience = new AbortController();
    const cancel = clock.schedule(SWITCHOVER_TIMEOUT_MS, () => patience.abort());
    try {
      const { signal } = patience;
      await platform.operate({ kind: 'switchover', group, ...place }, { signal });
    } finally {
      cancel();
      over();
    }
  }

  async #begin(step: RangeStep): Promise<void> {
    const begin = await beginRangeStep(this.#stage, step, this.#move.kind);
    this.#onItsWay = begin?.();
    this.#onItsWay?.catch(() => {});
  }

  async #cancelWaits(step: Extract<Step, { readonly do: 'cancel-waits' }>): Promise<void> {
    const { clock, servers, injections, signal } = this.#stage;
    const [leader] = nodesOf(this.#stage.scene(), { of: 'leader', group: step.group });
    if (leader === undefined) return;
    let cancelled = 0;
    const endMs = clock.monotonicMs() + step.forMs;
    await servers.use(leader.name, async (client) => {
      while (clock.monotonicMs() < endMs) {
        const { rowCount } = await client.query(
          `SELECT pg_cancel_backend(pid) FROM pg_stat_activity
           WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'`,
        );
        cancelled += rowCount ?? 0;
        await clock.sleep(CANCEL_INTERVAL_MS, signal);
      }
    });
    if (cancelled === 0) return;
    const what = `cancel ${String(cancelled)} quorum waits at ${leader.name}`;
    injections.add({ what, kind: this.#move.kind, struck: [step.group] })();
  }

  async #heal({ only, of }: Extract<Step, { readonly do: 'heal' }>): Promise<void> {
    const due = this.#inForce.filter(
      (fault) => (only ?? fault.by) === fault.by && (of ?? fault.of) === fault.of,
    );
    for (const fault of due) this.#inForce.splice(this.#inForce.indexOf(fault), 1);
    await Promise.all(
      due.map(async ({ id, over }) => {
        try {
          await this.#stage.platform.chaos.heal(id);
        } catch (error) {
          // Healed by somebody else, which is as good.
          if (!isMeridianError(error, 'ERR_CONTROL_REQUEST')) throw error;
        }
        over();
      }),
    );
  }
}
