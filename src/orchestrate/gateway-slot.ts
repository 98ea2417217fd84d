/**
 * One region's gateway: the socket, which stays, and the processes that accept on it, which come and
 * go. A crash is answered with a new process after a back-off, a restart with a successor that accepts
 * before its predecessor stops to. Connections that come meanwhile wait in the socket's queue.
 *
 * Invariants: one change at a time (`#turn`); at most one process serves and one retires.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProcessStatus } from '../control/status.ts';
import {
  SOCKET_FROM_PARENT,
  type GatewayMessage,
  type GatewayOrder,
} from '../gateway/gateway-message.ts';
import { KEEP_ALIVE_TIMEOUT_MS } from '../gateway/phases.ts';
import type { GatewayOptions } from '../gateway/options.ts';
import type { Clock } from '../kernel/clock.ts';
import { ERROR_CODES } from '../kernel/error-codes.ts';
import { isMeridianError, MeridianError, messageOf, type ErrorCode } from '../kernel/errors.ts';
import type { Host, HostedProcess, SharedSocket } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { Locality } from '../topology/region.ts';
import type { LetGoAnswer } from './let-go.ts';

export interface GatewaySlotOptions {
  readonly host: Host;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly gateway: GatewayOptions;
  readonly controlEnv: (place: Locality, name: string) => Readonly<Record<string, string>>;
  readonly logDirectory: string;
  readonly startTimeoutMs: number;
}

const RESTART_BACKOFF = { baseMs: 200, maxMs: 5_000 };
/** Even the luckiest jitter leaves this between two starts. */
const RESTART_MIN_MS = 20;
const STOP_SLACK_MS = 500;

/** What a gateway process has told of the views that it routes by. */
interface Seen {
  readonly version: number;
  readonly busy: ReadonlySet<string>;
}

interface Running {
  readonly process: HostedProcess;
  seen: Seen | undefined;
}

export class GatewaySlot {
  readonly name: string;
  readonly place: Locality;
  readonly #options: GatewaySlotOptions;
  readonly #stopping = new AbortController();
  #socket: SharedSocket | undefined;
  #serving: Running | undefined;
  #retiring: Running | undefined;
  /** Being started: not yet serving. */
  #starting: Running | undefined;
  #state: ProcessStatus['state'] = 'starting';
  #restarts = 0;
  #failures = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: GatewaySlotOptions, place: Locality) {
    this.#options = options;
    this.name = `gateway.${place.region}`;
    this.place = place;
  }

  get port(): number {
    return this.#socket?.port ?? 0;
  }

  status(): ProcessStatus {
    const process = this.#serving?.process;
    return {
      name: this.name,
      ...this.place,
      pid: process === undefined || process.exit !== undefined ? null : process.pid,
      port: this.port,
      state: this.#state,
      restarts: this.#restarts,
    };
  }

  /** The first start; throws what keeps it from serving, a taken port first of all. */
  async start(): Promise<void> {
    const { host, gateway } = this.#options;
    try {
      const port = gateway.ports[this.place.region] ?? 0;
      this.#socket = host.bindSocket(gateway.listenAddress, port);
    } catch (cause) {
      throw isMeridianError(cause, 'ERR_PORT_TAKEN') ? this.#portTaken(cause) : cause;
    }
    await this.#inTurn(() => this.#launch());
  }

  /**
   * Puts a successor in the serving process's place; resolves when it accepts, while the predecessor
   * still lets its clients leave. Throws, with the predecessor serving on, when none can be started.
   */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      // Two predecessors at once would be one too many, and ending one early costs its clients.
      await this.#retiring?.process.exited;
      const predecessor = this.#serving;
      await this.#launch();
      if (predecessor === undefined || predecessor.process.exit !== undefined) return;
      this.#retire(predecessor);
    });
  }

  /**
   * Has every process of it seen this view, and does none of them still use the app server? One that
   * has ended uses nothing; one that starts may have got an older view, and serves by it in a moment.
   */
  uses(instance: string, version: number): LetGoAnswer {
    const living = [this.#serving, this.#retiring, this.#starting].filter(
      (one) => one !== undefined && one.process.exit === undefined,
    );
    if (living.some((one) => (one?.seen?.version ?? -1) < version)) return 'unseen';
    return living.some((one) => one?.seen?.busy.has(instance)) ? 'busy' : 'free';
  }

  /** Idempotent. Waits for requests in flight, not for clients that keep idle connections. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const ends = [this.#serving?.process, this.#retiring?.process, this.#starting?.process];
    if (this.#serving !== undefined) this.#state = 'draining';
    await Promise.all(ends.map((process) => this.#end(process)));
    await this.#turn;
    this.#state = 'stopped';
    this.#socket?.close();
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(() => {
      this.#throwIfStopping();
      return change();
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async #launch(): Promise<void> {
    const { host, gateway, controlEnv, logDirectory } = this.#options;
    const socket = this.#socket;
    if (socket === undefined) throw new MeridianError('ERR_INTERNAL', 'no socket to accept on');
    if (this.#serving === undefined) this.#state = 'starting';
    const process = await host.spawn({
      name: this.name,
      command: globalThis.process.execPath,
      args: [fileURLToPath(new URL('../gateway/gateway-process.js', import.meta.url))],
      env: {
        ...controlEnv(this.place, this.name),
        PORT: String(gateway.ports[this.place.region] ?? 0),
        [SOCKET_FROM_PARENT]: '1',
      },
      logFile: join(logDirectory, `${this.name}.log`),
      channel: true,
    });
    const running: Running = { process, seen: undefined };
    this.#starting = running;
    try {
      this.#throwIfStopping();
      const ready = this.#readiness(running);
      order(process, { kind: 'socket' }, socket);
      await ready;
      // Before it is forgotten as the one that starts: it must not be missed in between.
      this.#serving = running;
    } catch (error) {
      process.signal('SIGKILL');
      await process.exited;
      throw error;
    } finally {
      this.#starting = undefined;
    }
    this.#state = 'ready';
    void process.exited.then(() => {
      if (this.#serving === running) this.#revive();
    });
  }

  /** Resolves once it accepts; rejects with its own error when it says one. */
  #readiness(running: Running): Promise<void> {
    const { clock, startTimeoutMs, logDirectory } = this.#options;
    const { process } = running;
    return new Promise((resolve, reject) => {
      const cancel = clock.schedule(startTimeoutMs, () => {
        reject(new MeridianError('ERR_START_TIMEOUT', `${this.name} did not start in time`));
      });
      process.onMessage((told) => {
        const message = told as GatewayMessage;
        if (message.kind === 'seen') {
          running.seen = { version: message.version, busy: new Set(message.busy) };
          return;
        }
        cancel();
        if (message.kind === 'ready') resolve();
        else reject(reported(message.error));
      });
      void process.exited.then(() => {
        cancel();
        const log = join(logDirectory, `${this.name}.log`);
        reject(
          new MeridianError('ERR_PROCESS_FAILED', `${this.name} ended while starting; see ${log}`),
        );
      });
    });
  }

  /** It ended unasked. */
  #revive(): void {
    if (this.#stopping.signal.aborted) return;
    const { clock, random, log } = this.#options;
    this.#serving = undefined;
    this.#state = 'backing-off';
    this.#restarts += 1;
    this.#failures += 1;
    log.warn('a gateway ended unasked; restarting it', { name: this.name });
    const pause = Math.max(RESTART_MIN_MS, backoffMs(this.#failures, random, RESTART_BACKOFF));
    this.#inTurn(async () => {
      // A restart that was asked for meanwhile may have put another in its place.
      if (this.#serving !== undefined) return;
      await clock.sleep(pause, this.#stopping.signal);
      await this.#launch();
      this.#failures = 0;
    }).catch((error: unknown) => {
      if (this.#stopping.signal.aborted) return;
      log.error('a gateway does not start', { name: this.name, error: messageOf(error) });
      this.#revive();
    });
  }

  #retire(predecessor: Running): void {
    const { clock, gateway, log } = this.#options;
    const { process } = predecessor;
    this.#retiring = predecessor;
    order(process, { kind: 'retire' });
    const limitMs =
      KEEP_ALIVE_TIMEOUT_MS + gateway.requestTimeoutMs + gateway.drainTimeoutMs + STOP_SLACK_MS;
    const cancel = clock.schedule(limitMs, () => {
      log.warn('a retiring gateway did not end in time; killing it', { name: this.name });
      process.signal('SIGKILL');
    });
    void process.exited.then(() => {
      cancel();
      if (this.#retiring === predecessor) this.#retiring = undefined;
    });
  }

  /** In an orderly way, then by force. */
  async #end(process: HostedProcess | undefined): Promise<void> {
    if (process === undefined || process.exit !== undefined) return;
    const { clock, gateway } = this.#options;
    process.signal('SIGTERM');
    const cancel = clock.schedule(gateway.drainTimeoutMs + STOP_SLACK_MS, () => {
      process.signal('SIGKILL');
    });
    await process.exited;
    cancel();
  }

  #throwIfStopping(): void {
    if (!this.#stopping.signal.aborted) return;
    throw new MeridianError('ERR_ABORTED', `${this.name} was stopped`);
  }

  #portTaken(cause: unknown): MeridianError {
    const { region } = this.place;
    const port = this.#options.gateway.ports[region] ?? 0;
    const key = `gateway.ports.${region}`;
    const message = `port ${String(port)} of the gateway of ${region} (${key}) is taken`;
    return new MeridianError('ERR_PORT_TAKEN', message, { cause, details: { port, region, key } });
  }
}

function order(process: HostedProcess, what: GatewayOrder, socket?: SharedSocket): void {
  process.send(what, socket);
}

function reported(error: Readonly<Record<string, unknown>>): MeridianError {
  const code = String(error['code']);
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'ERR_PROCESS_FAILED';
  const remedy = typeof error['remedy'] === 'string' ? { remedy: error['remedy'] } : {};
  return new MeridianError(known, String(error['message']), remedy);
}
