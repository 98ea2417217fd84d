/**
 * One app server, kept running: started, checked, restarted with back-off, drained. Its state moves
 * only by the table in lifecycle.ts; this file makes the events happen.
 *
 * Invariant: at most one process at a time. `#run` is the only place that spawns, and goes on only
 * after the process before has ended.
 */
import { join } from 'node:path';
import type { ProcessStatus } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Host, HostedProcess } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { Locality } from '../topology/region.ts';
import {
  FIRST_CRASHES_MAX,
  FORGIVEN_AFTER_MS,
  judgeHealth,
  nextState,
  PASSES_RECOVERED,
  type AppEvent,
  type AppState,
} from './lifecycle.ts';
import { logLength, logTail } from './log-tail.ts';
import type { AppOptions } from './options.ts';
import { probe } from './probe.ts';

export interface AppServerOptions {
  /** "eu-west.0" */
  readonly name: string;
  /** Tells it from its predecessor and its successor. */
  readonly instance: string;
  readonly locality: Locality;
  /** Undefined: a free one is found. */
  readonly port?: number | undefined;
  readonly options: AppOptions;
  readonly env: Readonly<Record<string, string>>;
  readonly host: Host;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly logDirectory: string;
  /** From not-ready to SIGTERM: resolves when no gateway uses this instance any more. */
  readonly letGoOf: (instance: string) => Promise<unknown>;
  readonly onChange: () => void;
}

const RESTART_BACKOFF = { baseMs: 250, maxMs: 10_000 };
/** Even the luckiest jitter leaves this between two starts. */
const RESTART_MIN_MS = 50;
/** Checks while starting are quick, so that a server is used as soon as it can be. */
const STARTING_INTERVAL_MS = 40;
const PROBE_TIMEOUT_MIN_MS = 500;
const GROUP_POLL_MS = 20;

export class AppServer {
  readonly name: string;
  readonly instance: string;
  readonly locality: Locality;
  readonly logFile: string;
  /** Resolves when it is ready for the first time; rejects when it will not be. */
  readonly firstReady: Promise<void>;
  readonly #options: AppServerOptions;
  readonly #log: Log;
  readonly #stopping = new AbortController();
  #settleFirst: { readonly resolve: () => void; readonly reject: (error: Error) => void };
  #state: AppState = 'starting';
  #port = 0;
  #process: HostedProcess | undefined;
  #spawning: Promise<unknown> = Promise.resolve();
  #restarts = 0;
  /** Ends in a row without FORGIVEN_AFTER_MS of health between them. */
  #crashes = 0;
  #everReady = false;
  #draining: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  /** Where the present process's lines begin. */
  #logFrom = 0;

  constructor(options: AppServerOptions) {
    this.#options = options;
    this.name = options.name;
    this.instance = options.instance;
    this.locality = options.locality;
    this.#port = options.port ?? 0;
    this.logFile = join(options.logDirectory, `app.${options.name}.log`);
    this.#log = options.log.with({ server: options.name });
    this.#settleFirst = { resolve: () => {}, reject: () => {} };
    this.firstReady = new Promise((resolve, reject) => {
      this.#settleFirst = { resolve, reject };
    });
    // Whoever does not wait for it learns of failures by state and log.
    this.firstReady.catch(() => {});
  }

  get ready(): boolean {
    return this.#state === 'ready';
  }

  get port(): number {
    return this.#port;
  }

  status(): ProcessStatus {
    return {
      name: this.name,
      ...this.locality,
      pid: this.#process?.pid ?? null,
      port: this.#port,
      state: this.#state,
      restarts: this.#restarts,
    };
  }

  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      this.#log.error('an app server is no longer kept running', { reason: messageOf(error) });
      this.#settleFirst.reject(error as Error);
    });
  }

  /** Ends the process in an orderly way, for good. Idempotent. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#drain();
    await this.#running;
    // Closed before it was started: there was no process to end.
    this.#apply('exited');
    this.#settleFirst.reject(new MeridianError('ERR_ABORTED', `${this.name} was stopped`));
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const life = await this.#live();
      if (this.#state === 'stopped') return;
      this.#crashes += 1;
      this.#restarts += 1;
      if (!this.#everReady && this.#crashes >= FIRST_CRASHES_MAX) {
        this.#settleFirst.reject(await this.#crashLoop());
        return;
      }
      // The port may have been the reason.
      if (life !== 'was-ready') this.#port = 0;
      const backoff = backoffMs(this.#crashes, this.#options.random, RESTART_BACKOFF);
      const waitMs = Math.max(RESTART_MIN_MS, backoff);
      this.#log.warn('an app server ended; restarting it', { waitMs: Math.round(waitMs) });
      await this.#options.clock.sleep(waitMs, this.#stopping.signal).catch(() => {});
    }
  }

  /** One process from start to end. */
  async #live(): Promise<'never-began' | 'never-ready' | 'was-ready'> {
    const child = await this.#spawn();
    if (child === undefined) {
      this.#apply('exited');
      return 'never-began';
    }
    this.#apply('spawned');
    const over = new AbortController();
    const ended = child.exited.then((exit) => {
      over.abort();
      this.#log.info('app server ended', { code: exit.code, signal: exit.signal });
      // What a wrapper leaves behind would hold the port. A drain gives it time to end in order.
      if (!this.#isDraining()) child.signalGroup('SIGKILL');
    });
    const wasReady = await this.#watch(child, over.signal);
    await ended;
    this.#process = undefined;
    this.#apply('exited');
    return wasReady ? 'was-ready' : 'never-ready';
  }

  /** Undefined when the program, which ran before, cannot be started now. */
  async #spawn(): Promise<HostedProcess | undefined> {
    const { host, options, env } = this.#options;
    const spawning = (async (): Promise<HostedProcess> => {
      if (this.#port === 0) this.#port = await host.freePort();
      this.#logFrom = await logLength(this.logFile);
      // Known before anybody who awaits the spawning goes on: a drain must not miss it.
      this.#process = await host.spawn({
        name: `app.${this.name}`,
        command: options.command[0] ?? '',
        args: options.command.slice(1),
        cwd: options.directory,
        env: { ...env, HOST: '127.0.0.1', PORT: String(this.#port) },
        logFile: this.logFile,
      });
      return this.#process;
    })();
    this.#spawning = spawning.catch(() => {});
    try {
      return await spawning;
    } catch (error) {
      this.#log.error('an app server could not be started', { reason: messageOf(error) });
      // A program that does not exist will not exist at the third try either.
      if (!this.#everReady) throw error;
      return undefined;
    }
  }

  /** Checks its health until the process ends or is drained; kills it when it hangs. */
  async #watch(child: HostedProcess, over: AbortSignal): Promise<boolean> {
    const { clock, options } = this.#options;
    const startBy = clock.monotonicMs() + options.startTimeoutMs;
    let healthySince: number | undefined;
    let wasReady = false;
    let misses = 0;
    let passes = 0;
    while (!over.aborted && !this.#isDraining()) {
      const passed = await probe({
        port: this.#port,
        path: options.healthPath,
        timeoutMs: Math.max(PROBE_TIMEOUT_MIN_MS, options.healthIntervalMs),
        clock,
      });
      // An answer that came with the end of the process is no news.
      if (over.aborted) break;
      const health = judgeHealth(misses, passed);
      misses = health.misses;
      passes = passed ? passes + 1 : 0;
      if (passed && this.#state === 'unhealthy' && passes < PASSES_RECOVERED) {
        // One good answer among bad ones would make it come and go.
      } else if (passed) {
        wasReady = true;
        this.#passed();
        healthySince ??= clock.monotonicMs();
        if (clock.monotonicMs() - healthySince >= FORGIVEN_AFTER_MS) this.#crashes = 0;
      } else if (!wasReady) {
        if (clock.monotonicMs() >= startBy) {
          this.#tooSlow(child);
          break;
        }
      } else {
        healthySince = undefined;
        if (health.verdict !== 'missed') this.#apply('failing');
        if (health.verdict === 'hung' && !this.#isDraining()) {
          this.#log.warn('app server does not answer its health checks; killing it', { misses });
          child.signalGroup('SIGKILL');
          break;
        }
      }
      const intervalMs = wasReady ? options.healthIntervalMs : STARTING_INTERVAL_MS;
      await clock.sleep(intervalMs, over).catch(() => {});
    }
    return wasReady;
  }

  /** Asked anew each time: it changes while others are awaited. */
  #isDraining(): boolean {
    return this.#state === 'draining';
  }

  #passed(): void {
    this.#apply('passed');
    if (this.#state !== 'ready') return;
    this.#everReady = true;
    this.#settleFirst.resolve();
  }

  #tooSlow(child: HostedProcess): void {
    const { options } = this.#options;
    const message =
      `app server ${this.name} did not pass its health check (${options.healthPath}) within ` +
      `${String(options.startTimeoutMs)} ms; its log is ${this.logFile}`;
    this.#log.error(message);
    child.signalGroup('SIGKILL');
    if (this.#everReady) return;
    this.#settleFirst.reject(
      new MeridianError('ERR_START_TIMEOUT', message, {
        remedy:
          'Make the app server listen on PORT and answer app.healthPath, or raise app.startTimeoutMs.',
      }),
    );
  }

  async #crashLoop(): Promise<MeridianError> {
    const tail = await logTail(this.logFile, this.#logFrom);
    const last = tail === '' ? 'It wrote nothing.' : `Its last lines:\n${tail}`;
    return new MeridianError(
      'ERR_PROCESS_FAILED',
      `app server ${this.name} ended ${String(FIRST_CRASHES_MAX)} times before it was ready; ` +
        `its log is ${this.logFile}. ${last}`,
      { details: { server: this.name, logFile: this.logFile } },
    );
  }

  #drain(): Promise<void> {
    this.#draining ??= this.#drainOnce().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #drainOnce(): Promise<void> {
    const { clock, options } = this.#options;
    this.#apply('drain');
    await this.#spawning;
    const child = this.#process;
    if (child === undefined) return;
    // Gateways that have not heard yet still send requests, and find it listening.
    if (this.#everReady) await Promise.race([this.#options.letGoOf(this.instance), child.exited]);
    child.signal('SIGTERM');
    const cancel = clock.schedule(options.drainTimeoutMs, () => {
      this.#log.warn('app server did not end in time; killing it');
      child.signalGroup('SIGKILL');
    });
    await child.exited;
    await this.#endGroup(child);
    cancel();
  }

  /**
   * A wrapper (a shell, npm) may end before the server that it started. That one is asked as well, but
   * only now: a program that gets its signal twice may take the second as an order to end at once.
   */
  async #endGroup(child: HostedProcess): Promise<void> {
    if (!child.signalGroup('SIGTERM')) return;
    // Ends at the latest when the drain's time is over: then the group is killed.
    while (child.signalGroup(0)) await this.#options.clock.sleep(GROUP_POLL_MS);
  }

  #apply(event: AppEvent): void {
    const before = this.#state;
    this.#state = nextState(before, event);
    // A new process is news even in the same state: its port and pid are.
    if (this.#state === before && event !== 'spawned') return;
    this.#log.debug('app server', { from: before, to: this.#state, event });
    this.#options.onChange();
  }
}
