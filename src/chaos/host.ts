/**
 * The host with machines that can be down or frozen, and processes that can hang. Every process of the
 * platform is started through it, so that whoever watches one sees what a real fault would show:
 *
 *   down     its processes are killed, and nothing starts there
 *   frozen   its processes stand still, nothing starts there, and signals do not arrive: a frozen machine
 *            obeys nobody. What was ordered meanwhile arrives a while after it goes on, as late as a
 *            message that was sent again: first it does what it had begun.
 *   hung     one process stands still on a machine that is well: whoever supervises it can kill it
 *
 * Invariant: a process stands still exactly while its name is frozen or it was told to hang. A machine
 * has no name of its own here: it is the names of the processes on it.
 */
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Host, HostedProcess, ProcessSpec } from '../kernel/host.ts';

/** Process name → id of the fault. */
export interface Machines {
  readonly down: ReadonlyMap<string, string>;
  readonly frozen: ReadonlyMap<string, string>;
}

export interface FaultHost extends Host {
  /** These and no others from now on. Resolves when those that went down have ended. */
  machinesAre(machines: Machines): Promise<void>;
  /** Those of this name that run now hang until `release`. False when none does. */
  hang(name: string): boolean;
  release(name: string): void;
  hangs(name: string): boolean;
  runs(name: string): boolean;
  /** Ends those of this name that run now, with all they started; false when none does. */
  kill(name: string): Promise<boolean>;
  /** The way that it is stopped in order; false when none runs, or it stands still. */
  ask(name: string, signal: NodeJS.Signals): boolean;
  /** All goes on, at once, and nothing ordered meanwhile arrives: everything is about to be ended. */
  releaseAll(): void;
}

/** What was ordered while a machine was frozen arrives so long after it goes on. */
const LATE_MS = 1_000;
const HELD_MAX = 8;
/** SIGKILL takes no longer, whatever a process does; a disk that hangs may. */
const KILLED_WITHIN_MS = 5_000;

type Order = (process: HostedProcess) => void;

class Watched {
  readonly inner: HostedProcess;
  hung = false;
  standing = false;
  held: Order[] = [];

  constructor(inner: HostedProcess) {
    this.inner = inner;
  }
}

export function faultHost(host: Host, clock: Clock): FaultHost {
  return new LocalMachines(host, clock);
}

class LocalMachines implements FaultHost {
  readonly #host: Host;
  readonly #clock: Clock;
  readonly #running = new Set<Watched>();
  #machines: Machines = { down: new Map(), frozen: new Map() };

  constructor(host: Host, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
  }

  async spawn(spec: ProcessSpec): Promise<HostedProcess> {
    this.#checkUp(spec.name);
    const watched = new Watched(await this.#host.spawn(spec));
    this.#running.add(watched);
    void watched.inner.exited.then(() => this.#running.delete(watched));
    // The machine may have gone meanwhile.
    if (this.#machines.down.has(spec.name)) {
      await this.#end([watched]);
      this.#checkUp(spec.name);
    }
    this.#settle(watched);
    return this.#asSeen(watched);
  }

  run: Host['run'] = async (spec, timeoutMs) => {
    this.#checkUp(spec.name);
    return this.#host.run(spec, timeoutMs);
  };

  isDown(name: string): boolean {
    return this.#machines.down.has(name) || this.#machines.frozen.has(name);
  }

  endCommands(): void {
    this.#host.endCommands();
  }

  bindSocket: Host['bindSocket'] = (address, port) => this.#host.bindSocket(address, port);

  freePort(): Promise<number> {
    return this.#host.freePort();
  }

  async machinesAre(machines: Machines): Promise<void> {
    this.#machines = machines;
    const ended = this.#end(
      [...this.#running].filter(({ inner }) => machines.down.has(inner.name)),
    );
    for (const watched of this.#running) this.#settle(watched);
    await ended;
  }

  hang(name: string): boolean {
    const found = this.#named(name);
    for (const watched of found) {
      watched.hung = true;
      this.#settle(watched);
    }
    return found.length > 0;
  }

  release(name: string): void {
    for (const watched of this.#named(name)) {
      watched.hung = false;
      this.#settle(watched);
    }
  }

  hangs(name: string): boolean {
    return this.#named(name).some(({ hung }) => hung);
  }

  runs(name: string): boolean {
    return this.#named(name).length > 0;
  }

  async kill(name: string): Promise<boolean> {
    const found = this.#named(name);
    await this.#end(found);
    return found.length > 0;
  }

  ask(name: string, signal: NodeJS.Signals): boolean {
    const found = this.#named(name).filter(({ standing }) => !standing);
    for (const { inner } of found) {
      // PostgreSQL asks its own backends; others may be wrapped in a shell.
      if (signal === 'SIGINT') inner.signal(signal);
      else inner.signalGroup(signal);
    }
    return found.length > 0;
  }

  releaseAll(): void {
    this.#machines = { down: new Map(), frozen: new Map() };
    for (const watched of this.#running) {
      watched.hung = false;
      watched.held = [];
      this.#settle(watched);
    }
  }

  #named(name: string): Watched[] {
    return [...this.#running].filter(({ inner }) => inner.name === name);
  }

  #checkUp(name: string): void {
    const { down, frozen } = this.#machines;
    const fault = down.get(name) ?? frozen.get(name);
    if (fault === undefined) return;
    const state = down.has(name) ? 'down' : 'frozen';
    throw new MeridianError(
      'ERR_HOST_DOWN',
      `the machine of ${name} is ${state} (fault ${fault})`,
      {
        remedy: `meridian chaos heal ${fault}`,
      },
    );
  }

  /** Makes it stand or go on, as it should by now. */
  #settle(watched: Watched): void {
    const { inner } = watched;
    const standing = watched.hung || this.#machines.frozen.has(inner.name);
    if (standing !== watched.standing) {
      watched.standing = standing;
      if (standing) freeze(inner);
      else inner.signalTree('SIGCONT');
    }
    if (this.#machines.frozen.has(inner.name) || watched.held.length === 0) return;
    const held = watched.held;
    watched.held = [];
    this.#clock.schedule(LATE_MS, () => {
      if (inner.exit !== undefined) return;
      for (const order of held) order(this.#asSeen(watched));
    });
  }

  async #end(those: readonly Watched[]): Promise<void> {
    const living = those.filter(({ inner }) => inner.exit === undefined);
    for (const { inner } of living) killTree(inner);
    const given = new AbortController();
    const tooLate = this.#clock.sleep(KILLED_WITHIN_MS, given.signal).catch(() => {});
    await Promise.race([Promise.all(living.map(({ inner }) => inner.exited)), tooLate]);
    given.abort();
  }

  /** What the platform gets: orders to a frozen machine wait, or are dropped when there are many. */
  #asSeen(watched: Watched): HostedProcess {
    const { inner } = watched;
    const holds = (order: Order): boolean => {
      if (!this.#machines.frozen.has(inner.name)) return false;
      if (watched.held.length < HELD_MAX) watched.held.push(order);
      return true;
    };
    /** What it started would stand still for ever, and hold on to memory that its successor needs. */
    const endHung = (signal: NodeJS.Signals | 0): void => {
      if (signal === 'SIGKILL' && watched.standing) killTree(inner);
    };
    return {
      ...{ name: inner.name, pid: inner.pid, exited: inner.exited },
      get exit() {
        return inner.exit;
      },
      signal: (signal) => {
        if (
          holds((process) => {
            process.signal(signal);
          })
        )
          return;
        endHung(signal);
        inner.signal(signal);
      },
      signalGroup: (signal) => {
        if (
          signal !== 0 &&
          holds((process) => {
            process.signalGroup(signal);
          })
        )
          return true;
        endHung(signal);
        return inner.signalGroup(signal);
      },
      signalTree: (signal) => {
        if (
          holds((process) => {
            process.signalTree(signal);
          })
        )
          return;
        inner.signalTree(signal);
      },
      send: (message, socket) => {
        inner.send(message, socket);
      },
      onMessage: (listener) => {
        inner.onMessage(listener);
      },
    };
  }
}

/** Twice: what was forked while the first round went is found by the second, and then nobody forks. */
function freeze(process: HostedProcess): void {
  process.signalTree('SIGSTOP');
  process.signalTree('SIGSTOP');
}

/** As a machine that loses power, or the kernel when memory is short: nobody gets to say good-bye. */
function killTree(process: HostedProcess): void {
  freeze(process);
  process.signalTree('SIGKILL');
}
