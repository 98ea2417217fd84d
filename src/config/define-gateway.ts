/** The declaration of the gateways: the part of define.ts under `gateway`. */
import type { AccountSource } from '../gateway/options.ts';

export interface IssuerConfig {
  /** The `iss` claim of its tokens, compared exactly. */
  readonly issuer: string;
  /** One of them must be in the `aud` claim, so that tokens for other services are refused. */
  readonly audience: string | readonly string[];
  /**
   * Accepted signature algorithms. With a shared secret HS256 unless stated; else RS, PS and ES with
   * 256, 384 or 512, and EdDSA.
   * @defaultValue none
   */
  readonly algorithms?: readonly string[] | undefined;
  /**
   * Where the issuer publishes its keys: https, or http on loopback.
   * @defaultValue none
   */
  readonly jwksUrl?: string | undefined;
  /**
   * A JWKS document or a PEM public key, relative to the configuration file; read when a gateway starts.
   * @defaultValue none
   */
  readonly keysFile?: string | undefined;
  /**
   * Public keys as JWK.
   * @defaultValue none
   */
  readonly keys?: readonly Readonly<Record<string, unknown>>[] | undefined;
  /**
   * A file with a shared secret of at least 32 bytes, relative to the configuration file.
   * @defaultValue none
   */
  readonly secretFile?: string | undefined;
  /**
   * Environment variable of `meridian up` with a shared secret; gateways alone get it.
   * @defaultValue none
   */
  readonly secretVariable?: string | undefined;
}

export interface AuthenticationConfig {
  /** Who may issue bearer tokens, by a name of yours that logs and the app server see. */
  readonly issuers: Readonly<Record<string, IssuerConfig>>;
  /**
   * Requests without a bearer token are refused, except for `publicPaths`. A wrong token is refused
   * either way.
   * @defaultValue true
   */
  readonly required?: boolean | undefined;
  /**
   * Prefixes of paths that are served without a token, compared segment by segment: '/login'.
   * @defaultValue []
   */
  readonly publicPaths?: readonly string[] | undefined;
  /**
   * CORS preflights, which cannot carry a token, pass without one.
   * @defaultValue false
   */
  readonly passPreflights?: boolean | undefined;
  /**
   * Name of a cookie that may hold the token where there is no Authorization header.
   * @defaultValue none
   */
  readonly cookie?: string | undefined;
  /**
   * How far the issuer's clock may be from ours.
   * @defaultValue 5000
   */
  readonly clockToleranceMs?: number | undefined;
  /**
   * Verified tokens that a gateway remembers, about 2 KB each; beyond, the least recently used is
   * verified again.
   * @defaultValue 10000
   */
  readonly verifiedMax?: number | undefined;
  /**
   * Keys are fetched again this often, and what is gone is no longer accepted.
   * @defaultValue 300000
   */
  readonly keyRefreshMs?: number | undefined;
  /**
   * Least time between two fetches because tokens name an unknown key.
   * @defaultValue 10000
   */
  readonly keyCooldownMs?: number | undefined;
  /**
   * A fetch that takes longer is given up.
   * @defaultValue 5000
   */
  readonly keyTimeoutMs?: number | undefined;
  /**
   * While the issuer cannot be asked, keys are used until they are this old.
   * @defaultValue 3600000
   */
  readonly keyAgeMaxMs?: number | undefined;
}

export interface RateLimitConfig {
  /** Requests a second in the long run. */
  readonly ratePerSecond: number;
  /**
   * Requests that may come at once after a pause; `ratePerSecond` rounded up unless stated.
   * @defaultValue none
   */
  readonly burst?: number | undefined;
}

export interface RateLimitsConfig {
  /**
   * Of one account, over all its clients.
   * @defaultValue none
   */
  readonly perAccount?: RateLimitConfig | undefined;
  /**
   * Of one client: the subject of a verified token, else the address (IPv6: its /64).
   * @defaultValue none
   */
  readonly perClient?: RateLimitConfig | undefined;
  /**
   * Accounts, and clients, that a gateway counts at a time; beyond, those least recently seen begin
   * anew with a full burst.
   * @defaultValue 65536
   */
  readonly keysMax?: number | undefined;
}

export interface AccessLogConfig {
  /**
   * Folder of the files `gateway.<region>.access.log`, relative to the configuration file; `logs` of
   * the data directory unless stated.
   * @defaultValue none
   */
  readonly directory?: string | undefined;
  /**
   * Lines name the account.
   * @defaultValue true
   */
  readonly account?: boolean | undefined;
  /**
   * How much of a client's address lines show: 'truncated' is the /24 of IPv4 and the /48 of IPv6.
   * @defaultValue 'truncated'
   */
  readonly clientAddress?: 'full' | 'truncated' | 'none' | undefined;
  /**
   * A file that would become longer is renamed, and a new one begun.
   * @defaultValue 67108864
   */
  readonly fileBytesMax?: number | undefined;
  /**
   * Renamed files that are kept.
   * @defaultValue 3
   */
  readonly filesMax?: number | undefined;
}

export interface GatewayConfig<Region extends string = string> {
  /**
   * Where a request names its account, tried in order; made by `accountFromPath`,
   * `accountFromHeader`, `accountFromHost` and `accountFromClaim`. A request that names none is served in the region it arrived in.
   * @defaultValue [accountFromPath('/accounts/:account')]
   */
  readonly account?: readonly AccountSource[] | undefined;
  /**
   * Verification of bearer tokens (JWT). Without it gateways look at no token.
   * @defaultValue none
   */
  readonly authentication?: AuthenticationConfig | undefined;
  /**
   * Limits on requests, counted by each gateway process alone. Without it there are none.
   * @defaultValue none
   */
  readonly rateLimits?: RateLimitsConfig | undefined;
  /**
   * Proxies in front of the gateways: addresses, networks, 'loopback', 'private'. What anybody else
   * says of a client's address is not believed.
   * @defaultValue []
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /**
   * The header in which those proxies name the client. The other one is never believed.
   * @defaultValue 'x-forwarded-for'
   */
  readonly forwardedHeader?: 'x-forwarded-for' | 'forwarded' | undefined;
  /**
   * One JSON line for each request, without secrets. `{}` takes every default; false writes none.
   * @defaultValue none
   */
  readonly accessLog?: false | AccessLogConfig | undefined;
  /**
   * IP address that gateways listen at. They speak plain HTTP: beyond loopback, put a proxy with TLS
   * before them.
   * @defaultValue '127.0.0.1'
   */
  readonly listenAddress?: string | undefined;
  /**
   * Port of a region's gateway; 0 picks a free one. Regions left out count up from
   * `basePort`.
   * @defaultValue \{\}
   */
  readonly ports?: Readonly<Partial<Record<Region, number>>> | undefined;
  /**
   * The first declared region's gateway listens at this port plus one, the second's plus two, and so
   * on. 0 picks free ports.
   * @defaultValue 8080
   */
  readonly basePort?: number | undefined;
  /**
   * Larger request bodies are refused with 413.
   * @defaultValue 1048576
   */
  readonly bodyLimitBytes?: number | undefined;
  /**
   * A request is answered within this, or refused.
   * @defaultValue 15000
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * Requests in flight are given this long when the gateway stops.
   * @defaultValue 2000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * Requests in flight above this are refused with 503 at once.
   * @defaultValue 2048
   */
  readonly concurrencyMax?: number | undefined;
  /**
   * Client connections above this are refused with 503 and closed.
   * @defaultValue 8192
   */
  readonly connectionsMax?: number | undefined;
  /**
   * The same for the connections of one client address.
   * @defaultValue 1024
   */
  readonly connectionsPerClientMax?: number | undefined;
  /**
   * A connection is closed after the answer to this many requests.
   * @defaultValue 10000
   */
  readonly requestsPerConnectionMax?: number | undefined;
  /**
   * Request lines and headers that are longer together are refused with 431.
   * @defaultValue 16384
   */
  readonly headerBytesMax?: number | undefined;
  /**
   * Requests with more headers are refused with 431.
   * @defaultValue 100
   */
  readonly headersMax?: number | undefined;
  /**
   * Longer request targets are refused with 414.
   * @defaultValue 8192
   */
  readonly urlBytesMax?: number | undefined;
  /**
   * A request's line and headers must be complete within this, or are refused with 408.
   * @defaultValue 10000
   */
  readonly headersTimeoutMs?: number | undefined;
  /**
   * A client that sends nothing of its announced body, or takes nothing of its answer, for this long is cut.
   * @defaultValue 10000
   */
  readonly stallTimeoutMs?: number | undefined;
  /**
   * WebSockets above this are refused with 503; 0 allows none.
   * @defaultValue 1024
   */
  readonly websocketsMax?: number | undefined;
  /**
   * A WebSocket on which nothing moves, in either direction, for this long is closed.
   * @defaultValue 300000
   */
  readonly websocketIdleTimeoutMs?: number | undefined;
  /**
   * The application promises to act on an `Idempotency-Key` once (see `idempotencyOf`): the gateway
   * then checks the header and may send a request that has one again, whatever its method.
   * @defaultValue false
   */
  readonly idempotencyKeys?: boolean | undefined;
}
