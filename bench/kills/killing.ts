/**
 * Kills the leader of one group again and again, in one way after the other; waits each time until the
 * group is open at a later epoch, and before a machine is ended until every copy streams.
 */
import type { ChaosRequest } from '../../src/control/chaos.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isMeridianError, messageOf } from '../../src/kernel/errors.ts';
import type { Platform } from '../../src/platform-api.ts';
import type { Groups } from '../cluster/groups.ts';
import type { Kind, Move } from './moves.ts';

/** One leader that was killed. */
export interface Kill {
  readonly group: string;
  readonly kind: Kind;
  readonly node: string;
  readonly atMs: number;
  /** Until the group was open again; what a second kill in the middle took is in it. */
  readonly reopenedMs: number;
  /** The same node leads again. */
  readonly inPlace: boolean;
}

type Struck = Pick<Kill, 'node' | 'atMs' | 'kind'> & { readonly epoch: number };

const ATTEMPTS_MAX = 50;
const ATTEMPT_DELAY_MS = 100;

export class Killing {
  readonly #platform: Platform;
  readonly #groups: Groups;
  readonly #group: string;
  #others = 0;

  constructor(platform: Platform, groups: Groups, group: string) {
    this.#platform = platform;
    this.#groups = groups;
    this.#group = group;
  }

  /** Machines that were ended beside a leader's, since it was last asked. */
  takeOthers(): number {
    const others = this.#others;
    this.#others = 0;
    return others;
  }

  whole(): Promise<void> {
    return this.#groups.whole(this.#group);
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
    const { epoch, leader } = await this.#groups.open(this.#group);
    const atMs = performance.now();
    const target = { kind: as, name: leader } as const;
    const { id, lasting } = await this.#inject({ action: 'kill', target });
    if (lasting) faults.push(id);
    return { epoch, node: leader, atMs, kind: move.kind };
  }

  async #reopened({ epoch, node, atMs, kind }: Struck): Promise<Kill> {
    const { leader } = await this.#groups.open(this.#group, epoch);
    const reopenedMs = Math.round(performance.now() - atMs);
    return { group: this.#group, kind, node, atMs, reopenedMs, inPlace: leader === node };
  }

  /** One that did not lead when the leader was killed; perhaps it is about to. */
  async #another(move: Move, leader: string): Promise<void> {
    const { nodes } = this.#groups.seen(this.#group);
    const others = nodes.filter(({ name, kind }) => kind === 'voter' && name !== leader);
    const name = others[move.other % others.length]?.name ?? '';
    await systemClock.sleep(move.secondAfterMs);
    const { id } = await this.#inject({ action: 'kill', target: { kind: 'node', name } });
    this.#others += 1;
    await systemClock.sleep(move.secondDownMs);
    await this.#heal(id);
  }

  /** What ends just then by itself is struck as soon as it is back. */
  async #inject(request: ChaosRequest): Promise<{ id: string; lasting: boolean }> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#platform.chaos.inject(request);
      } catch (error) {
        const passing = isMeridianError(error, 'ERR_CHAOS_REFUSED') && attempt < ATTEMPTS_MAX;
        if (!passing) throw new Error(`${this.#group}: ${messageOf(error)}`, { cause: error });
        await systemClock.sleep(ATTEMPT_DELAY_MS);
      }
    }
  }

  async #heal(id: string): Promise<void> {
    await this.#platform.chaos.heal(id);
  }
}
