/**
 * The clients' connections in the gateway's last phases, and which answer is a connection's last one.
 *
 * Serving → retiring → stopping, never back. A retiring gateway has a successor on the same socket: it
 * answers what still comes over its old connections, each with `connection: close`, and never closes
 * one that a client may be about to use. A stopping one has none, and refuses.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Told to clients with every answer (`keep-alive: timeout`). Those that heed it leave their idle
 * connections within this time, so that a retiring gateway is soon alone.
 */
const IDLE_HINT = ['keep-alive', 'timeout=15'] as const;

/** Longer than the pauses of the usual client pools, so that the client closes first. */
export const KEEP_ALIVE_TIMEOUT_MS = 65_000;

export class Phases {
  readonly #requests = new WeakMap<Socket, number>();
  #phase: 'serving' | 'retiring' | 'stopping' = 'serving';

  get retiring(): boolean {
    return this.#phase === 'retiring';
  }

  /** New requests are refused. */
  get stopping(): boolean {
    return this.#phase === 'stopping';
  }

  retire(): void {
    if (this.#phase === 'serving') this.#phase = 'retiring';
  }

  stop(): void {
    this.#phase = 'stopping';
  }

  /** Counts a request into its connection until its response is over. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    this.#requests.set(socket, this.#of(socket) + 1);
    response.once('close', () => {
      this.#requests.set(socket, this.#of(socket) - 1);
    });
  }

  /**
   * Must the answer say `connection: close`? Not while another request of the same connection has
   * been read already (pipelining): that one would be lost.
   */
  isLast(request: IncomingMessage): boolean {
    return this.#phase !== 'serving' && this.#of(request.socket) <= 1;
  }

  /** What an answer tells the client about its connection. */
  headers(request: IncomingMessage, response: ServerResponse): readonly string[] {
    if (this.isLast(request)) return ['connection', 'close'];
    return response.shouldKeepAlive ? IDLE_HINT : [];
  }

  #of(socket: Socket): number {
    return this.#requests.get(socket) ?? 0;
  }
}
