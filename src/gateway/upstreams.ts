/**
 * Keep-alive connections to app servers: one pool per address, opened when first needed, closed when
 * the routing view takes the server out of service and it owes no answer any more. Counts requests in
 * flight per app server instance, for routing, and for those who wait until a server is let go of.
 *
 * Invariant: a server that is told not to be busy has no connection of this gateway, and gets none
 * before a later view calls it ready.
 */
import { Pool } from 'undici';
import type { Clock } from '../kernel/clock.ts';
import type { Address, RoutedAppServer, RoutingView } from '../topology/routing.ts';

export interface UpstreamOptions {
  /** Bound on connections to one app server. */
  readonly connectionsMax: number;
  /** A response whose body makes no progress for this long is cut. */
  readonly bodyTimeoutMs: number;
  readonly clock: Clock;
  /** Told at each view, and when an instance that it takes out of service is let go of. */
  readonly onSeen: (version: number, busy: readonly string[]) => void;
}

/** A server that failed a request is not the first choice for this long. */
const AVOID_MS = 1_000;

/** A connection that takes longer is not coming: even the far side of the Earth answers in 300 ms. */
const CONNECT_TIMEOUT_MS = 2_000;

export class Upstreams {
  readonly #options: UpstreamOptions;
  readonly #pools = new Map<string, Pool>();
  /** Closing. */
  readonly #retiring = new Map<Pool, string>();
  readonly #inFlight = new Map<string, number>();
  readonly #avoidUntilMs = new Map<string, number>();
  /** Instance → address, of those that the view calls not ready. */
  #leaving: ReadonlyMap<string, string> = new Map();
  #version = -1;
  #turn = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /** Read by `chooseRoute`. */
  get turn(): number {
    return this.#turn;
  }

  inFlight(server: RoutedAppServer): number {
    return this.#inFlight.get(server.instance) ?? 0;
  }

  /** It has failed a request a moment ago. */
  avoided(server: RoutedAppServer): boolean {
    const untilMs = this.#avoidUntilMs.get(server.instance);
    return untilMs !== undefined && this.#options.clock.monotonicMs() < untilMs;
  }

  failed(server: RoutedAppServer): void {
    this.#avoidUntilMs.set(server.instance, this.#options.clock.monotonicMs() + AVOID_MS);
  }

  /** The server's connections; `release` once when the request is over. */
  take(server: RoutedAppServer): { readonly pool: Pool; readonly release: () => void } {
    this.#turn = (this.#turn + 1) % 1_000_000;
    this.#inFlight.set(server.instance, this.inFlight(server) + 1);
    return {
      pool: this.#pool(server.address),
      release: () => {
        const left = this.inFlight(server) - 1;
        if (left > 0) {
          this.#inFlight.set(server.instance, left);
          return;
        }
        this.#inFlight.delete(server.instance);
        const leaving = this.#leaving.get(server.instance);
        if (leaving === undefined) return;
        this.#retire(leaving);
        this.#tellSeen();
      },
    };
  }

  /** Closes the connections to servers that leave or are gone, each after its last response. */
  follow(view: RoutingView): void {
    const instances = new Set(view.appServers.map((server) => server.instance));
    for (const instance of this.#avoidUntilMs.keys()) {
      if (!instances.has(instance)) this.#avoidUntilMs.delete(instance);
    }
    this.#version = view.version;
    const leaving = view.appServers.filter((server) => !server.ready);
    this.#leaving = new Map(leaving.map((server) => [server.instance, keyOf(server.address)]));
    for (const [instance, key] of this.#leaving) {
      if (!this.#inFlight.has(instance)) this.#retire(key);
    }
    const named = new Set(view.appServers.map((server) => keyOf(server.address)));
    for (const key of this.#pools.keys()) {
      if (!named.has(key)) this.#retire(key);
    }
    this.#tellSeen();
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#retiring.keys()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #tellSeen(): void {
    const closing = new Set(this.#retiring.values());
    const busy = [...this.#leaving].filter(
      ([instance, key]) => this.#inFlight.has(instance) || closing.has(key),
    );
    this.#options.onSeen(
      this.#version,
      busy.map(([instance]) => instance),
    );
  }

  /** A server that closes its idle connections must find none that a request may come over. */
  #retire(key: string): void {
    const pool = this.#pools.get(key);
    if (pool === undefined) return;
    this.#pools.delete(key);
    this.#retiring.set(pool, key);
    const retired = (): void => {
      this.#retiring.delete(pool);
      if ([...this.#leaving.values()].includes(key)) this.#tellSeen();
    };
    pool.close().then(retired, retired);
  }

  #pool(address: Address): Pool {
    const key = keyOf(address);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(`http://${key}`, {
        connections: this.#options.connectionsMax,
        connect: { timeout: CONNECT_TIMEOUT_MS },
        // The gateway's own deadline bounds the wait for a response's head.
        headersTimeout: 0,
        bodyTimeout: this.#options.bodyTimeoutMs,
      });
      this.#pools.set(key, pool);
    }
    return pool;
  }
}

function keyOf(address: Address): string {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `${host}:${String(address.port)}`;
}
