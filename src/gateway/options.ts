/** How requests enter a region. Defaults are in src/config/defaults.ts, like every other default. */

/** Where a request names its account. */
export type AccountSource =
  /** A path with one `:account` segment, matched as a prefix: '/accounts/:account'. */
  | { readonly kind: 'path'; readonly pattern: string }
  | { readonly kind: 'header'; readonly name: string };

export interface GatewayOptions {
  /** Tried in order; a request that names none is served by the region's own app servers. */
  readonly account: readonly AccountSource[];
  /** Port of each region's gateway on loopback; 0 picks a free one. */
  readonly ports: Readonly<Record<string, number>>;
  readonly bodyLimitBytes: number;
  /** A request is answered within this, or refused; a client may ask for less with `meridian-timeout-ms`. */
  readonly requestTimeoutMs: number;
  /** In-flight requests are given this long when the gateway stops. */
  readonly drainTimeoutMs: number;
  /** Requests in flight above this are refused with 503 at once. */
  readonly concurrencyMax: number;
}
