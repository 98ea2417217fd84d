/**
 * Child process: a closed loop of keep-alive connections that each send the same request again as soon
 * as its answer is whole. Raw sockets and no HTTP library, so that the load costs less than what is
 * measured. Any answer but a 200 with a declared length ends the run: a fast error is no figure.
 */
import { connect, type Socket } from 'node:net';

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  /** Not counted. */
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** The whole request, as it is sent. */
  readonly request: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const SAMPLES_MAX = 2_000_000;

interface Phase {
  counting: boolean;
  over: boolean;
}

class Loop {
  readonly #socket: Socket;
  readonly #request: Buffer;
  readonly #onAnswer: (ms: number) => void;
  readonly #phase: Phase;
  #sentAt = 0;
  #head: Buffer = Buffer.alloc(0);
  /** Of the body, still to come; -1 while the head is read. */
  #left = -1;

  constructor(order: LoadOrder, phase: Phase, onAnswer: (ms: number) => void) {
    this.#request = Buffer.from(order.request, 'latin1');
    this.#onAnswer = onAnswer;
    this.#phase = phase;
    this.#socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('connect', () => {
      this.#send();
    });
    this.#socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
    this.#socket.on('close', () => {
      if (!phase.over) fail('a connection was closed');
    });
    this.#socket.on('error', (error) => {
      if (!phase.over) fail(error.message);
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket.write(this.#request);
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    if (this.#left < 0) {
      rest = this.#head.length === 0 ? chunk : Buffer.concat([this.#head, chunk]);
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#head = rest;
        return;
      }
      const head = rest.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (!head.startsWith('HTTP/1.1 200') || length === null) fail(`unexpected answer: ${head}`);
      this.#left = Number(length?.[1]);
      this.#head = Buffer.alloc(0);
      rest = rest.subarray(end + 4);
    }
    this.#left -= rest.length;
    if (this.#left > 0) return;
    if (this.#left < 0) fail('more bytes than were declared');
    this.#left = -1;
    if (this.#phase.counting) this.#onAnswer(performance.now() - this.#sentAt);
    if (!this.#phase.over) this.#send();
  }
}

function fail(why: string): never {
  process.stderr.write(`load: ${why}\n`);
  process.exit(1);
}

function run(order: LoadOrder): void {
  const phase: Phase = { counting: false, over: false };
  const samples = new Float32Array(SAMPLES_MAX);
  let requests = 0;
  const onAnswer = (ms: number): void => {
    samples[requests % SAMPLES_MAX] = ms;
    requests += 1;
  };
  const loops = Array.from({ length: order.connections }, () => new Loop(order, phase, onAnswer));
  setTimeout(() => {
    phase.counting = true;
    process.send?.('counting');
    const startedAt = performance.now();
    setTimeout(() => {
      phase.counting = false;
      phase.over = true;
      const seconds = (performance.now() - startedAt) / 1_000;
      const sorted = samples.subarray(0, Math.min(requests, SAMPLES_MAX)).sort();
      const at = (q: number): number => sorted[Math.floor((sorted.length - 1) * q)] ?? NaN;
      const result: LoadResult = { requests, seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
      process.send?.(result);
      for (const loop of loops) loop.destroy();
    }, order.measureMs);
  }, order.warmUpMs);
}

process.on('message', run);
process.on('disconnect', () => {
  process.exit(0);
});
