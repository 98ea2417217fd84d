/**
 * The supervisor's end of the emulated WAN: starts its process and turns calls into messages.
 *
 * Every call is answered or fails: by its reply, by its deadline, or by the end of the process. The
 * same link is asked for once; whoever asks again gets the address that is known.
 */
import { fileURLToPath } from 'node:url';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Host, HostedProcess } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import { roundTripMs, type LatencyMatrix } from '../topology/region.ts';
import type { Address } from '../topology/routing.ts';
import {
  linkKey,
  sameAddress,
  type CutSelector,
  type LinkRequest,
  type LinkStatus,
  type Wan,
  type WanFaults,
} from './link.ts';
import type { WanCall, WanReply } from './messages.ts';

export type {
  CutSelector,
  CutState,
  LinkRequest,
  LinkStatus,
  Place,
  SlowRule,
  Wan,
  WanFaults,
} from './link.ts';
export { directLinks } from './direct-links.ts';

const CALL_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 1_000;
const CALLS_PENDING_MAX = 10_000;

export interface WanOptions {
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
  readonly latency: LatencyMatrix;
  /** Multiplies every round trip; 0 forwards without delay, and still can cut. */
  readonly scale: number;
  readonly logFile: string;
  readonly env: Readonly<Record<string, string>>;
}

export async function startWan(options: WanOptions): Promise<Wan> {
  const process = await options.host.spawn({
    name: 'wan',
    command: globalThis.process.execPath,
    args: [fileURLToPath(new URL('./wan-process.js', import.meta.url))],
    env: options.env,
    logFile: options.logFile,
    channel: true,
  });
  return new WanClient(options, process);
}

interface Pending {
  readonly resolve: (result: never) => void;
  readonly reject: (error: MeridianError) => void;
  readonly cancelTimeout: () => void;
}

class WanClient implements Wan {
  readonly #options: WanOptions;
  readonly #process: HostedProcess;
  readonly #pending = new Map<number, Pending>();
  readonly #known = new Map<string, { readonly request: LinkRequest; at: Promise<Address> }>();
  readonly ended: Promise<void>;
  #lastId = 0;
  #closing: Promise<void> | undefined;

  constructor(options: WanOptions, process: HostedProcess) {
    this.#options = options;
    this.#process = process;
    process.onMessage((message) => {
      this.#settle(message as WanReply);
    });
    this.ended = process.exited.then((exit) => {
      if (this.#closing === undefined) options.log.error('the emulated WAN ended', { ...exit });
      for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(this.#gone());
    });
  }

  link(request: LinkRequest): Promise<Address> {
    const key = linkKey(request.from, request.target);
    const known = this.#known.get(key);
    if (known !== undefined) return known.at;
    const { latency, scale } = this.#options;
    const at = this.#call<Address>({
      verb: 'link',
      request,
      roundTripMs: roundTripMs(latency, request.from, request.to) * scale,
    });
    const entry = { request, at };
    this.#known.set(key, entry);
    // A failure is the asker's to handle; the next one tries again.
    at.catch(() => {
      if (this.#known.get(key) === entry) this.#known.delete(key);
    });
    return at;
  }

  async retarget(previous: Address, next: Address): Promise<void> {
    if (sameAddress(previous, next)) return;
    // Renamed before the process did it: requests are carried out in order, so no asker can see between.
    for (const [key, { request, at }] of [...this.#known]) {
      if (!sameAddress(request.target, previous)) continue;
      this.#known.delete(key);
      const renamed = linkKey(request.from, next);
      if (this.#known.has(renamed)) continue;
      this.#known.set(renamed, { request: { ...request, target: next }, at });
    }
    await this.#call({ verb: 'retarget', previous, next });
  }

  async cut(selector: CutSelector): Promise<void> {
    await this.#call({ verb: 'cut', selector });
  }

  async heal(selector: CutSelector): Promise<void> {
    await this.#call({ verb: 'heal', selector });
  }

  async impose(faults: WanFaults): Promise<void> {
    await this.#call({ verb: 'impose', faults });
  }

  links(): Promise<readonly LinkStatus[]> {
    return this.#call({ verb: 'links' });
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  async #stop(): Promise<void> {
    if (this.#process.exit !== undefined) return;
    const cancelKill = this.#options.clock.schedule(STOP_TIMEOUT_MS, () => {
      this.#process.signal('SIGKILL');
    });
    this.#process.signal('SIGTERM');
    await this.ended;
    cancelKill();
  }

  #call<T>(call: WanCall): Promise<T> {
    if (this.#closing !== undefined || this.#process.exit !== undefined) {
      return Promise.reject(this.#gone());
    }
    if (this.#pending.size >= CALLS_PENDING_MAX) {
      return Promise.reject(
        new MeridianError(
          'ERR_ENGINE_OVERLOADED',
          'the emulated WAN has too many requests waiting',
        ),
      );
    }
    const id = ++this.#lastId;
    return new Promise<T>((resolve, reject) => {
      const cancelTimeout = this.#options.clock.schedule(CALL_TIMEOUT_MS, () => {
        this.#take(id)?.reject(
          new MeridianError(
            'ERR_ENGINE_UNAVAILABLE',
            `the emulated WAN did not answer '${call.verb}' within ${String(CALL_TIMEOUT_MS)} ms`,
          ),
        );
      });
      this.#pending.set(id, { resolve, reject, cancelTimeout });
      this.#process.send({ ...call, id });
    });
  }

  #settle(reply: WanReply): void {
    const pending = this.#take(reply.id);
    if ('error' in reply) {
      const { code, message, remedy } = reply.error;
      pending?.reject(new MeridianError(code, message, { remedy }));
    } else {
      pending?.resolve(reply.result as never);
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.cancelTimeout();
    return pending;
  }

  #gone(): MeridianError {
    return new MeridianError('ERR_PROCESS_FAILED', 'the emulated WAN has ended', {
      remedy: `Read its log: ${this.#options.logFile}`,
    });
  }
}
