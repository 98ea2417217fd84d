/**
 * Kills the leader of one group again and again, in one way after the other; waits each time until the
 * group is open at a later epoch, and before a machine is ended until every copy streams.
 */
import type { ChaosRequest } from '../../src/control/chaos.ts';
import type { StatusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { messageOf } from '../../src/kernel/errors.ts';
import type { Platform } from '../../src/platform-api.ts';
import type { RoutedGroup } from '../../src/topology/routing.ts';
import type { VerifyCluster } from '../../src/verify/cluster.ts';
import { isWhole, missing } from '../../src/verify/settle.ts';
import type { Kind, Move } from './moves.ts';

/** One leader that was killed. */
export interface Kill {
  readonly group: string;
  readonly kind: Kind;
  readonly node: string;
  readonly atMs: number;
  /** Until the group was open again; what a second kill in the middle took is in it. */
  readonly reopenedMs: number;
  /** In place: the same node leads again. */
  readonly inPlace: boolean;
}

type Struck = Pick<Kill, 'node' | 'atMs' | 'kind'> & { readonly epoch: number };

/** A group that does not recover is as bad as one that forgets. */
export class NotRecovered extends Error {}

const REOPEN_TIMEOUT_MS = 60_000;
const WHOLE_TIMEOUT_MS = 90_000;
const LOOK_INTERVAL_MS = 500;

/** A look at every server costs; all lanes share one. */
export class Looks {
  readonly #platform: Pick<Platform, 'status'>;
  #next: Promise<StatusReport> | undefined;

  constructor(platform: Pick<Platform, 'status'>) {
    this.#platform = platform;
  }

  /** As it is after the call. */
  next(): Promise<StatusReport> {
    this.#next ??= this.#look();
    return this.#next;
  }

  async #look(): Promise<StatusReport> {
    await systemClock.sleep(LOOK_INTERVAL_MS);
    this.#next = undefined;
    return this.#platform.status();
  }
}

export class Killing {
  readonly #cluster: VerifyCluster;
  readonly #looks: Looks;
  readonly #group: string;
  #others = 0;

  constructor(cluster: VerifyCluster, looks: Looks, group: string) {
    this.#cluster = cluster;
    this.#looks = looks;
    this.#group = group;
  }

  /** Machines that were ended beside a leader's, since it was last asked. */
  takeOthers(): number {
    const others = this.#others;
    this.#others = 0;
    return others;
  }

  /** Rejects with NotRecovered; everything is healed then, and in any other case. */
  async play(move: Move): Promise<readonly Kill[]> {
    // A process comes back whoever follows it; without a machine, all others are needed.
    if (move.kind.startsWith('node')) await this.whole();
    await systemClock.sleep(move.waitMs);
    const faults: string[] = [];
    try {
      return await this.#play(move, faults);
    } finally {
      await Promise.all(faults.map((id) => this.#heal(id)));
    }
  }

  async #play(move: Move, faults: string[]): Promise<readonly Kill[]> {
    switch (move.kind) {
      case 'process':
        return [await this.#reopened(await this.#strike(move, 'process', faults))];
      case 'process-twice': {
        const first = await this.#reopened(await this.#strike(move, 'process', faults));
        await systemClock.sleep(move.secondAfterMs);
        return [first, await this.#reopened(await this.#strike(move, 'process', faults))];
      }
      case 'node': {
        const kill = await this.#reopened(await this.#strike(move, 'node', faults));
        await systemClock.sleep(move.downMs);
        return [kill];
      }
      case 'node-and-another': {
        const struck = await this.#strike(move, 'node', faults);
        await this.#another(move, struck.node);
        return [await this.#reopened(struck)];
      }
      case 'node-and-successor': {
        const first = await this.#reopened(await this.#strike(move, 'node', faults));
        await systemClock.sleep(move.secondAfterMs);
        const second = await this.#strike(move, 'node', faults);
        // Two of three are down: nobody may lead before one is back.
        await systemClock.sleep(move.secondDownMs);
        await Promise.all(faults.splice(0).map((id) => this.#heal(id)));
        return [first, await this.#reopened(second)];
      }
    }
  }

  /** Kills whoever leads. `faults` gets what is to be healed. */
  async #strike(move: Move, as: 'process' | 'node', faults: string[]): Promise<Struck> {
    const { epoch, leader: node = '' } = await this.#open(0);
    const atMs = performance.now();
    const target = { kind: as, name: node } as const;
    const { id, lasting } = await this.#inject({ action: 'kill', target });
    if (lasting) faults.push(id);
    return { epoch, node, atMs, kind: move.kind };
  }

  async #reopened({ epoch, node, atMs, kind }: Struck): Promise<Kill> {
    const { leader } = await this.#open(epoch);
    const reopenedMs = Math.round(performance.now() - atMs);
    return { group: this.#group, kind, node, atMs, reopenedMs, inPlace: leader === node };
  }

  /** One that did not lead when the leader was killed; perhaps it is about to. */
  async #another(move: Move, leader: string): Promise<void> {
    const { nodes } = this.#seen();
    const others = nodes.filter(({ name, kind }) => kind === 'voter' && name !== leader);
    const name = others[move.other % others.length]?.name ?? '';
    await systemClock.sleep(move.secondAfterMs);
    const { id } = await this.#inject({ action: 'kill', target: { kind: 'node', name } });
    this.#others += 1;
    await systemClock.sleep(move.secondDownMs);
    await this.#heal(id);
  }

  #seen(): RoutedGroup {
    const group = this.#cluster.observer.control.view.groups[this.#group];
    if (group === undefined) throw new Error(`there is no group ${this.#group}`);
    return group;
  }

  /** At a later epoch than this. */
  async #open(epoch: number): Promise<RoutedGroup> {
    const { control } = this.#cluster.observer;
    const patience = AbortSignal.timeout(REOPEN_TIMEOUT_MS);
    for (;;) {
      const { version } = control.view;
      const group = this.#seen();
      if (group.leader !== undefined && group.epoch > epoch) return group;
      try {
        await control.newerThan(version, patience);
      } catch (error) {
        if (patience.aborted) throw await this.#notRecovered('it is not open');
        throw error;
      }
    }
  }

  /** Open, and every copy streams. */
  async whole(): Promise<void> {
    const endMs = performance.now() + WHOLE_TIMEOUT_MS;
    while (!isWhole(await this.#looks.next(), [this.#group])) {
      if (performance.now() > endMs) throw await this.#notRecovered('it is not whole');
    }
  }

  async #notRecovered(what: string): Promise<NotRecovered> {
    const status = await this.#looks.next();
    const left = missing(status, [this.#group]).join(', ') || 'nothing is missing';
    const doing = status.groups.find(({ name }) => name === this.#group)?.operation;
    return new NotRecovered(`${this.#group}: ${what}: ${left}; ${JSON.stringify(doing ?? null)}`);
  }

  async #inject(request: ChaosRequest): Promise<{ id: string; lasting: boolean }> {
    const { chaos } = this.#cluster.platform;
    try {
      return await chaos.inject(request);
    } catch (error) {
      throw new Error(`${this.#group}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #heal(id: string): Promise<void> {
    await this.#cluster.platform.chaos.heal(id);
  }
}
