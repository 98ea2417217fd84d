/**
 * Keep-alive connections to app servers: one pool per address, opened when first needed, closed when
 * the routing view no longer names the address. Counts requests in flight per app server instance, for
 * routing, and for those who wait until one that goes out of service is let go of.
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
  /** Told at each view, and when an instance that it takes out of service has answered the last. */
  readonly onSeen: (version: number, busy: readonly string[]) => void;
}

/** A server that failed a request is not the first choice for this long. */
const AVOID_MS = 1_000;

/** A connection that takes longer is not coming: even the far side of the Earth answers in 300 ms. */
const CONNECT_TIMEOUT_MS = 2_000;

export class Upstreams {
  readonly #options: UpstreamOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #retiring = new Set<Pool>();
  readonly #inFlight = new Map<string, number>();
  readonly #avoidUntilMs = new Map<string, number>();
  #leaving: ReadonlySet<string> = new Set();
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
        if (this.#leaving.has(server.instance)) this.#tellSeen();
      },
    };
  }

  /** Closes the connections to addresses that are gone, each after its last response. */
  follow(view: RoutingView): void {
    const instances = new Set(view.appServers.map((server) => server.instance));
    for (const instance of this.#avoidUntilMs.keys()) {
      if (!instances.has(instance)) this.#avoidUntilMs.delete(instance);
    }
    this.#version = view.version;
    const leaving = view.appServers.filter((server) => !server.ready);
    this.#leaving = new Set(leaving.map((server) => server.instance));
    this.#tellSeen();
    const named = new Set(view.appServers.map((server) => keyOf(server.address)));
    for (const [key, pool] of this.#pools) {
      if (named.has(key)) continue;
      this.#pools.delete(key);
      this.#retiring.add(pool);
      const retired = (): void => {
        this.#retiring.delete(pool);
      };
      pool.close().then(retired, retired);
    }
  }

  /** Cuts every connection. */
  async destroy(): Promise<void> {
    const pools = [...this.#pools.values(), ...this.#retiring];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #tellSeen(): void {
    const busy = [...this.#leaving].filter((instance) => this.#inFlight.has(instance));
    this.#options.onSeen(this.#version, busy);
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
