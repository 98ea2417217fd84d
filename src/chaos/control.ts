/**
 * Carries faults on purpose out, and undoes them: the list of those in force (faults.ts says what they
 * do together) and the parts that do it, host, WAN and engine.
 *
 * Invariants: one change at a time; a fault whose effects failed half-way is taken back; a fault is
 * listed until it is undone. Everything is undone before the platform stops, because servers that
 * stand still, or are cut off, do not stop in order.
 */
import type { ChaosControl, ChaosFault, ChaosOptions, ChaosRequest } from '../control/chaos.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { NodeName } from '../topology/node.ts';
import type { Locality } from '../topology/region.ts';
import { reachUnder } from '../wan/reach.ts';
import type { Wan } from '../wan/wan.ts';
import {
  checkFits,
  effectsOf,
  isLasting,
  refused,
  summaryOf,
  type Effects,
  type Fault,
} from './faults.ts';
import type { FaultHost } from './host.ts';
import { processesAt, type ChaosProcess, type ChaosWorld } from './targets.ts';

export interface ChaosServices {
  readonly clock: Clock;
  readonly log: Log;
  readonly host: FaultHost;
  readonly wan: Pick<Wan, 'impose'>;
  /** Without emulation there is nothing to cut or slow. */
  readonly emulated: boolean;
  /** Are the database servers ours? */
  readonly lifecycle: 'managed' | 'external';
  readonly world: () => ChaosWorld;
  /** Undefined where the engine's clocks cannot be moved. */
  readonly skewClock: () => ((node: NodeName, offsetMs: number) => Promise<void>) | undefined;
}

export interface PlatformChaos extends ChaosControl {
  /** Could the arbiter reach what is there, if it were not on this machine? */
  reaches(place: Locality): boolean;
  /** Undoes all and refuses more. Idempotent. */
  close(): Promise<void>;
  /** What stands still goes on, at once: it is about to be killed. */
  abandon(): void;
}

const FAULTS_MAX = 256;
const WAITING_MAX = 64;

export function createChaos(services: ChaosServices): PlatformChaos {
  return new Control(services);
}

class Control implements PlatformChaos {
  readonly #services: ChaosServices;
  #faults: readonly Fault[] = [];
  #effects: Effects = effectsOf([]);
  #reaches: (place: Locality) => boolean = () => true;
  #made = 0;
  #waiting = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(services: ChaosServices) {
    this.#services = services;
  }

  inject(request: ChaosRequest, options: ChaosOptions = {}): Promise<ChaosFault> {
    return this.#inTurn(async () => {
      this.#checkOpen();
      this.#forgetEnded();
      const { world, lifecycle } = this.#services;
      if (lifecycle !== 'managed' && options.force !== true) {
        throw refused(
          'the database servers are not started by this platform: a fault could hit more than it',
          'Repeat it with --force if nobody else depends on them.',
        );
      }
      const processes = processesAt(request.target, world());
      checkFits(request, processes);
      this.#checkHere(request, processes);
      this.#made += 1;
      const fault: Fault = {
        id: `f${String(this.#made)}`,
        request,
        summary: summaryOf(request, processes),
        sinceMs: this.#services.clock.now(),
        lasting: isLasting(request),
        processes,
      };
      this.#services.log.warn('a fault on purpose', { fault: fault.id, summary: fault.summary });
      if (fault.lasting) await this.#add(fault);
      else await this.#once(fault);
      return told(fault);
    });
  }

  heal(id?: string): Promise<readonly ChaosFault[]> {
    return this.#inTurn(async () => {
      this.#forgetEnded();
      const healed = this.#faults.filter((fault) => id === undefined || fault.id === id);
      if (id !== undefined && healed.length === 0) {
        const known = this.#faults.map((fault) => fault.id).join(', ') || 'none';
        throw new MeridianError(
          'ERR_CONTROL_REQUEST',
          `no fault ${id} is in force; there are ${known}`,
        );
      }
      await this.#become(this.#faults.filter((fault) => !healed.includes(fault)));
      for (const { id: fault, summary } of healed) {
        this.#services.log.info('a fault on purpose is undone', { fault, summary });
      }
      return healed.map(told);
    });
  }

  faults(): readonly ChaosFault[] {
    this.#forgetEnded();
    return this.#faults.map(told);
  }

  reaches(place: Locality): boolean {
    return this.#reaches(place);
  }

  close(): Promise<void> {
    this.#closing ??= this.heal().then(
      () => {},
      (error: unknown) => {
        // What cannot be undone ends with the platform; what stands still must not.
        this.#services.log.error('a fault could not be undone', { error: messageOf(error) });
        this.abandon();
      },
    );
    return this.#closing;
  }

  abandon(): void {
    this.#closing ??= Promise.resolve();
    this.#services.host.releaseAll();
    this.#reaches = () => true;
    this.#faults = [];
  }

  async #add(fault: Fault): Promise<void> {
    const before = this.#faults;
    if (before.length >= FAULTS_MAX) {
      throw refused(`${String(FAULTS_MAX)} faults are in force already`, 'Heal some of them.');
    }
    try {
      await this.#become([...before, fault]);
    } catch (error) {
      await this.#become(before).catch(() => {});
      throw error;
    }
  }

  /** Over when it is done. */
  async #once({ request, processes }: Fault): Promise<void> {
    const { host } = this.#services;
    const reached = await Promise.all(
      processes.map(async ({ name, kind }) =>
        request.action === 'kill'
          ? host.kill(name)
          : host.ask(name, kind === 'database' ? 'SIGINT' : 'SIGTERM'),
      ),
    );
    if (reached.includes(true)) return;
    throw refused('nothing that could be ended runs there', 'See what runs: meridian status.');
  }

  /** From the effects of one list to those of another. */
  async #become(faults: readonly Fault[]): Promise<void> {
    const { host, wan } = this.#services;
    const [before, after] = [this.#effects, effectsOf(faults)];
    this.#faults = faults;
    this.#effects = after;
    for (const name of before.hung) if (!after.hung.has(name)) host.release(name);
    for (const name of after.hung) if (!before.hung.has(name)) host.hang(name);
    await host.machinesAre(after);
    if (!sameNetwork(before, after)) {
      await wan.impose({ cuts: after.cuts, slows: after.slows });
      const { regions } = this.#services.world();
      this.#reaches = reachUnder(after.cuts, regions);
    }
    await this.#setClocks(before.skews, after.skews);
  }

  async #setClocks(
    before: ReadonlyMap<string, number>,
    after: ReadonlyMap<string, number>,
  ): Promise<void> {
    const skewClock = this.#services.skewClock();
    const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
      (node) => (before.get(node) ?? 0) !== (after.get(node) ?? 0),
    );
    await Promise.all(changed.map(async (node) => skewClock?.(node, after.get(node) ?? 0)));
  }

  /** What could be done elsewhere, but not on this platform or not just now. */
  #checkHere({ action, target }: ChaosRequest, processes: readonly ChaosProcess[]): void {
    const { host, emulated, skewClock } = this.#services;
    if ((action === 'partition' || action === 'slow') && !emulated) {
      throw refused(
        'the emulated WAN does not run, so that there are no links to cut or to slow',
        'Configure a latency other than off, with a scale above 0; 0.01 is nearly none.',
      );
    }
    if (action === 'skew' && skewClock() === undefined) {
      throw refused(
        'the clocks of this engine cannot be moved',
        'Skew is for engines whose servers judge by an injected clock.',
      );
    }
    if (action !== 'stop' || target.kind !== 'process') return;
    if (processes.every(({ name }) => host.runs(name))) return;
    throw refused('it does not run just now', 'See what runs: meridian status.');
  }

  /** A process that hung and was killed for it does not hang any more. */
  #forgetEnded(): void {
    const { host } = this.#services;
    this.#faults = this.#faults.filter(
      ({ request: { action, target }, processes }) =>
        action !== 'stop' ||
        target.kind !== 'process' ||
        processes.some(({ name }) => host.hangs(name)),
    );
    this.#effects = effectsOf(this.#faults);
  }

  #checkOpen(): void {
    if (this.#closing === undefined) return;
    throw refused('the platform is stopping', 'Start it again.');
  }

  async #inTurn<T>(change: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      throw refused('too many faults are being made or undone', 'Wait for those asked for.');
    }
    this.#waiting += 1;
    const done = this.#turn.then(change);
    this.#turn = done.catch(() => {});
    try {
      return await done;
    } finally {
      this.#waiting -= 1;
    }
  }
}

function sameNetwork(before: Effects, after: Effects): boolean {
  const network = ({ cuts, slows }: Effects): string => JSON.stringify({ cuts, slows });
  return network(before) === network(after);
}

function told({ processes: _, ...fault }: Fault): ChaosFault {
  return fault;
}
