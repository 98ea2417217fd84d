/**
 * Keep-alive connections to app servers: one pool per address, opened when first needed, closed when
 * the routing view no longer names the address. Counts requests in flight per server, for routing.
 */
import { Pool } from 'undici';
import type { Address, RoutedAppServer, RoutingView } from '../topology/routing.ts';

export interface UpstreamOptions {
  /** Bound on connections to one app server. */
  readonly connectionsMax: number;
  /** A response whose body makes no progress for this long is cut. */
  readonly bodyTimeoutMs: number;
}

/** A connection that takes longer is not coming: even the far side of the Earth answers in 300 ms. */
const CONNECT_TIMEOUT_MS = 2_000;

export class Upstreams {
  readonly #options: UpstreamOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #retiring = new Set<Pool>();
  readonly #inFlight = new Map<string, number>();
  #turn = 0;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /** Read by `chooseRoute`. */
  get turn(): number {
    return this.#turn;
  }

  inFlight(server: string): number {
    return this.#inFlight.get(server) ?? 0;
  }

  /** The server's connections; `release` once when the request is over. */
  take(server: RoutedAppServer): { readonly pool: Pool; readonly release: () => void } {
    this.#turn = (this.#turn + 1) % 1_000_000;
    this.#inFlight.set(server.name, this.inFlight(server.name) + 1);
    return {
      pool: this.#pool(server.address),
      release: () => {
        const left = this.inFlight(server.name) - 1;
        if (left > 0) this.#inFlight.set(server.name, left);
        else this.#inFlight.delete(server.name);
      },
    };
  }

  /** Closes the connections to addresses that are gone, each after its last response. */
  follow(view: RoutingView): void {
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
