/**
 * Runs one group's machine (group-machine.ts): does what the phase asks for, takes the event that comes
 * of it to the table, and goes on, for as long as the engine runs. One actor per group: nobody else
 * starts, promotes or opens a leader.
 *
 * An effect never throws for what failures may bring; it ends in an event. What cannot be helped by
 * trying again (data of another release) ends the wait of whoever asked for the first opening.
 */
import {
  asMeridianError,
  isMeridianError,
  MeridianError,
  messageOf,
} from '../../../kernel/errors.ts';
import { Wakeup } from '../../../kernel/wakeup.ts';
import type { NodeName } from '../../../topology/node.ts';
import type { GroupOperation, LeaderChange } from '../../snapshot.ts';
import type { ClusterGroup } from '../cluster-state.ts';
import { EFFECTS } from './effects.ts';
import type { GroupArbiter } from './group-arbiter.ts';
import { transition, type GroupEvent, type GroupPhase } from './group-machine.ts';
import type { ArbiterServices, Leading, Recovery, Switchover } from './leading.ts';
import { operationOf } from './operation.ts';

/** After so many failed rounds in a row the first opening is given up. */
const START_ROUNDS_MAX = 6;
/** Longer waits for one standby would keep the group from a leader that has come back meanwhile. */
const PATIENCE_MAX = 4;

export class Leadership implements Leading, GroupArbiter {
  readonly services: ArbiterServices;
  readonly group: ClusterGroup;
  readonly bell = new Wakeup();
  phase: GroupPhase = 'restarting';
  cause = 'started';
  detail = '';
  noticedAtMs: number;
  previous: NodeName | undefined;
  switchover: Switchover | undefined;
  recovery: Recovery | undefined;
  lastChange: LeaderChange | undefined;
  readonly changes = new Map<string, number>();
  failure: MeridianError | undefined;
  quorumLost = false;
  #failedRounds = 0;
  #everOpen = false;
  readonly #opened: Promise<void>;
  #settleOpened: { resolve: () => void; reject: (error: Error) => void } | undefined;
  #running: Promise<void> | undefined;

  constructor(services: ArbiterServices, group: ClusterGroup) {
    this.services = services;
    this.group = group;
    this.noticedAtMs = services.cluster.services.clock.monotonicMs();
    this.#opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    this.#opened.catch(() => {});
  }

  start(): Promise<void> {
    this.#running ??= this.#run();
    return this.#opened;
  }

  async ended(): Promise<void> {
    this.bell.ring();
    await this.#running;
  }

  get patience(): number {
    return Math.min(2 ** Math.max(this.#failedRounds - 1, 0), PATIENCE_MAX);
  }

  get operation(): GroupOperation | undefined {
    return operationOf(this, this.services.cluster);
  }

  switchTo(to: NodeName, onPhase: (phase: string) => void): Promise<void> {
    if (this.switchover !== undefined || this.phase !== 'open') {
      const { name } = this.group.spec;
      const message = `${name} is busy: ${this.switchover === undefined ? this.phase : 'a switchover is under way'}`;
      return Promise.reject(new MeridianError('ERR_OPERATION_REFUSED', message));
    }
    return new Promise((resolve, reject) => {
      const finish = (failure: MeridianError | undefined): void => {
        this.switchover = undefined;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      this.switchover = { to, onPhase, finish, voters: undefined };
      this.bell.ring();
    });
  }

  recover(): Promise<void> {
    if (this.recovery !== undefined || !this.quorumLost) {
      const state = this.recovery === undefined ? this.phase : 'being recovered already';
      return Promise.reject(
        new MeridianError('ERR_OPERATION_REFUSED', `${this.group.spec.name} is ${state}`),
      );
    }
    return new Promise((resolve, reject) => {
      const finish = (failure: MeridianError | undefined): void => {
        this.recovery = undefined;
        if (failure === undefined) resolve();
        else reject(failure);
      };
      this.recovery = { finish };
      this.bell.ring();
    });
  }

  async #run(): Promise<void> {
    const { cluster } = this.services;
    while (!cluster.stopping) {
      const event = await this.#perform();
      if (cluster.stopping) break;
      this.#take(event);
    }
    const closed = new MeridianError('ERR_ENGINE_CLOSED', 'the engine is stopping');
    this.#settleOpened?.reject(closed);
    this.switchover?.finish(closed);
    this.recovery?.finish(closed);
  }

  async #perform(): Promise<GroupEvent> {
    const { cluster } = this.services;
    const { log, onPhase } = cluster.services;
    const { phase } = this;
    try {
      if (phase !== 'open') await onPhase?.('leadership', phase);
      return await EFFECTS[phase].run(this);
    } catch (error) {
      if (cluster.stopping) return EFFECTS[phase].failed;
      if (!isMeridianError(error)) log.error('a phase failed', { phase, error: messageOf(error) });
      this.failure = asMeridianError(error);
      this.detail = this.failure.message.split('\n')[0] ?? '';
      return EFFECTS[phase].failed;
    }
  }

  #take(event: GroupEvent): void {
    const { clock, log } = this.services.cluster.services;
    const before = this.phase;
    const next = transition(before, event);
    if (before === 'open' && next !== 'open') {
      this.noticedAtMs = clock.monotonicMs();
      this.previous = this.group.leader;
    }
    this.phase = next;
    if (next === 'no-quorum') this.quorumLost = true;
    else if (next === 'promoting' || next === 'open') this.#quorumFound();
    if (next === before) return;
    const { name } = this.group.spec;
    log.info('leadership', { group: name, from: before, event, to: next, cause: this.cause });
    this.switchover?.onPhase(next);
    if (next === 'open') this.#nowOpen();
    else if (next === 'restarting') this.#another();
  }

  /** Or at least somebody who may have one. */
  #quorumFound(): void {
    this.quorumLost = false;
    const found = `${this.group.spec.name} has found a leader: nothing is left to be recovered`;
    this.recovery?.finish(new MeridianError('ERR_OPERATION_REFUSED', found));
  }

  #nowOpen(): void {
    this.#failedRounds = 0;
    this.#everOpen = true;
    this.detail = '';
    this.#settleOpened?.resolve();
    this.#settleOpened = undefined;
    const { switchover } = this;
    if (switchover === undefined) return;
    const done = switchover.to === this.group.leader;
    switchover.finish(done ? undefined : notSwitched(this, switchover.to));
  }

  /** Before the first opening failures are told; later ones are gone on with for ever. */
  #another(): void {
    this.#failedRounds += 1;
    const { failure } = this;
    if (this.#everOpen || failure === undefined) return;
    const hopeless = failure.code === 'ERR_DATA_VERSION' || failure.code === 'ERR_ENGINE_CLOSED';
    if (!hopeless && this.#failedRounds < START_ROUNDS_MAX) return;
    this.#settleOpened?.reject(failure);
    this.#settleOpened = undefined;
  }
}

function notSwitched({ group, failure }: Leadership, to: NodeName): MeridianError {
  return new MeridianError(
    'ERR_OPERATION_REFUSED',
    `${group.spec.name} is led by ${group.leader}, not by ${to}: ${failure?.message ?? 'it was taken back'}`,
    { cause: failure },
  );
}
