/** How requests enter a region. Defaults are in src/config/defaults.ts, like every other default. */

/** Where a request names its account. */
export type AccountSource =
  /** A path with one `:account` segment, matched as a prefix: '/accounts/:account'. */
  | { readonly kind: 'path'; readonly pattern: string }
  | { readonly kind: 'header'; readonly name: string }
  /** A host name with one `:account` label: ':account.example.com'. */
  | { readonly kind: 'host'; readonly pattern: string }
  /** A claim of the verified bearer token: an account, or a list of those its bearer may use. */
  | { readonly kind: 'claim'; readonly name: string; readonly binding: ClaimBinding };

/**
 * Does the claim limit which accounts a request may name in other ways? 'always': a request may only
 * name accounts that its token's claim holds. 'when-present': tokens without the claim may name any.
 * 'never': the claim only names an account where nothing before it did.
 */
export type ClaimBinding = 'always' | 'when-present' | 'never';

/** Public keys are data; a shared secret is only ever referred to. */
export type KeySource =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'inline'; readonly keys: readonly Readonly<Record<string, unknown>>[] }
  | { readonly kind: 'secret-file'; readonly file: string }
  | { readonly kind: 'secret-environment'; readonly variable: string };

export interface IssuerOptions {
  /** The `iss` claim, compared exactly. */
  readonly issuer: string;
  /** One of them must be in the `aud` claim. */
  readonly audience: readonly string[];
  readonly algorithms: readonly string[];
  readonly keys: KeySource;
}

export interface AuthenticationOptions {
  /** By a name of our own, which logs and the app server see. */
  readonly issuers: Readonly<Record<string, IssuerOptions>>;
  /** Requests without a bearer token are refused, except for public paths. */
  readonly required: boolean;
  /** Prefixes, compared segment by segment. */
  readonly publicPaths: readonly string[];
  /** CORS preflights, which cannot carry a token, pass without one. */
  readonly passPreflights: boolean;
  /** Name of a cookie that may hold the bearer token. */
  readonly cookie?: string;
  readonly clockToleranceMs: number;
  /** Verified tokens that are remembered. */
  readonly verifiedMax: number;
  readonly keyRefreshMs: number;
  /** Least time between two fetches because of unknown keys. */
  readonly keyCooldownMs: number;
  readonly keyTimeoutMs: number;
  /** Keys fetched longer ago are not used, even when the issuer cannot be asked. */
  readonly keyAgeMaxMs: number;
}

export interface RateLimit {
  readonly ratePerSecond: number;
  /** Requests that may come at once after a pause. */
  readonly burst: number;
}

export interface RateLimitOptions {
  readonly perAccount?: RateLimit;
  readonly perClient?: RateLimit;
  /** Accounts, and clients, that are counted at the same time. */
  readonly keysMax: number;
}

export interface AccessLogOptions {
  readonly directory: string;
  readonly account: boolean;
  readonly clientAddress: 'full' | 'truncated' | 'none';
  /** A file that is longer is renamed, and a new one begun. */
  readonly fileBytesMax: number;
  /** Renamed files that are kept. */
  readonly filesMax: number;
}

export interface GatewayOptions {
  /** Tried in order; a request that names none is served by the region's own app servers. */
  readonly account: readonly AccountSource[];
  /** Left out: no token is looked at. */
  readonly authentication?: AuthenticationOptions;
  readonly rateLimits?: RateLimitOptions;
  /** Left out: none is written. */
  readonly accessLog?: AccessLogOptions;
  /** 'loopback', 'private', addresses and networks whose word about the client is believed. */
  readonly trustedProxies: readonly string[];
  /** The header in which they give it; the other one is never believed. */
  readonly forwardedHeader: 'x-forwarded-for' | 'forwarded';
  /** IP address that gateways listen at. */
  readonly listenAddress: string;
  /** Port of each region's gateway; 0 picks a free one. */
  readonly ports: Readonly<Record<string, number>>;
  readonly bodyLimitBytes: number;
  /** A request is answered within this, or refused; a client may ask for less with `meridian-timeout-ms`. */
  readonly requestTimeoutMs: number;
  /** In-flight requests are given this long when the gateway stops. */
  readonly drainTimeoutMs: number;
  /** Requests in flight above this are refused with 503 at once. */
  readonly concurrencyMax: number;
  /** Client connections above this are refused with 503 and closed. */
  readonly connectionsMax: number;
  /** The same for the connections of one client address. */
  readonly connectionsPerClientMax: number;
  /** A connection is closed after the answer to this many requests. */
  readonly requestsPerConnectionMax: number;
  /** Request lines and headers that are longer together are refused with 431. */
  readonly headerBytesMax: number;
  /** Requests with more headers are refused with 431. */
  readonly headersMax: number;
  /** Longer request targets are refused with 414. */
  readonly urlBytesMax: number;
  /** A request's line and headers must be complete within this, or are refused with 408. */
  readonly headersTimeoutMs: number;
  /** A client that sends nothing of its announced body, or takes nothing of its answer, for this long is cut. */
  readonly stallTimeoutMs: number;
  /** WebSockets above this are refused with 503; 0 allows none. */
  readonly websocketsMax: number;
  /** A WebSocket on which nothing moves, in either direction, for this long is closed. */
  readonly websocketIdleTimeoutMs: number;
  /**
   * The application answers an `Idempotency-Key` once: a request that has one may be sent to it again.
   * Without this promise the header passes as any other.
   */
  readonly idempotencyKeys: boolean;
  /** Set by the platform, from `app`: what is asked when an app server of another region is silent. */
  readonly healthPath?: string | undefined;
}

/** Environment variables that hold shared secrets of issuers. */
export function secretVariables(options: GatewayOptions): string[] {
  return Object.values(options.authentication?.issuers ?? {}).flatMap(({ keys }) =>
    keys.kind === 'secret-environment' ? [keys.variable] : [],
  );
}
