/**
 * Upgraded connections: bytes both ways between a client and an app server, not looked at.
 *
 * Invariants: what one side sent before it ended reaches the other; a slow side holds the other back
 * (pipes pause their source); a tunnel counts until both of its sockets are closed; none outlives the
 * gateway. Nothing is done per chunk for the idle timeout: a sweep compares what each socket has read.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import type { GatewayOptions } from './options.ts';

type TunnelsOptions = Pick<GatewayOptions, 'websocketsMax' | 'websocketIdleTimeoutMs'>;

interface Tunnel {
  readonly client: Socket;
  readonly upstream: Socket;
  movedBytes: number;
  movedAtMs: number;
}

/** An idle tunnel is noticed at most this much of its timeout late. */
const SWEEPS_PER_TIMEOUT = 4;
/** For the peers to take what was sent to them before the end. */
const END_GRACE_MS = 250;
const END_POLL_MS = 10;

export class Tunnels {
  readonly #options: TunnelsOptions;
  readonly #clock: Clock;
  readonly #open = new Set<Tunnel>();
  #reserved = 0;
  #cancelSweep: (() => void) | undefined;

  constructor(options: TunnelsOptions, clock: Clock) {
    this.#options = options;
    this.#clock = clock;
  }

  get size(): number {
    return this.#open.size;
  }

  /**
   * A place for a handshake that may become a tunnel; undefined when all are taken. Call the result
   * once, when the handshake is over.
   */
  reserve(): (() => void) | undefined {
    if (this.#open.size + this.#reserved >= this.#options.websocketsMax) return undefined;
    this.#reserved += 1;
    return () => {
      this.#reserved -= 1;
    };
  }

  /** Owns both sockets from here on. `head`: what the client sent behind its request already. */
  open(client: Socket, upstream: Socket, head: Buffer): void {
    const tunnel: Tunnel = { client, upstream, movedBytes: -1, movedAtMs: 0 };
    this.#open.add(tunnel);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      socket.setTimeout(0);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.once('close', () => {
        if (other.destroyed) this.#open.delete(tunnel);
        // It still gets what its peer sent before the end.
        else other.destroySoon();
      });
    }
    if (head.length > 0) client.unshift(head);
    client.pipe(upstream);
    upstream.pipe(client);
    if (client.destroyed) upstream.destroy();
    if (upstream.destroyed) client.destroy();
    this.#armSweep();
  }

  /** Ends every tunnel, first in an orderly way; for a bounded time. */
  async end(): Promise<void> {
    const clock = this.#clock;
    for (const { client, upstream } of this.#open) {
      client.destroySoon();
      upstream.destroySoon();
    }
    const deadlineMs = clock.monotonicMs() + END_GRACE_MS;
    while (this.#open.size > 0 && clock.monotonicMs() < deadlineMs) await clock.sleep(END_POLL_MS);
    this.destroy();
  }

  /** Cuts every tunnel. */
  destroy(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    for (const { client, upstream } of this.#open) {
      client.destroy();
      upstream.destroy();
    }
  }

  #armSweep(): void {
    if (this.#cancelSweep !== undefined || this.#open.size === 0) return;
    const everyMs = Math.ceil(this.#options.websocketIdleTimeoutMs / SWEEPS_PER_TIMEOUT);
    const clock = this.#clock;
    this.#cancelSweep = clock.schedule(everyMs, () => {
      this.#cancelSweep = undefined;
      this.#sweep(clock.monotonicMs());
      this.#armSweep();
    });
  }

  #sweep(nowMs: number): void {
    for (const tunnel of this.#open) {
      const { client, upstream } = tunnel;
      const movedBytes = client.bytesRead + upstream.bytesRead;
      if (movedBytes !== tunnel.movedBytes) {
        tunnel.movedBytes = movedBytes;
        tunnel.movedAtMs = nowMs;
      } else if (nowMs - tunnel.movedAtMs >= this.#options.websocketIdleTimeoutMs) {
        client.destroy();
        upstream.destroy();
      }
    }
  }
}
