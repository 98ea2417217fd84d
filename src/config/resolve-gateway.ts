/** Fills in the gateway's defaults. Pure; the declaration passed all checks. */
import { join, resolve } from 'node:path';
import type {
  AccessLogOptions,
  AccountSource,
  AuthenticationOptions,
  GatewayOptions,
  IssuerOptions,
  KeySource,
  RateLimit,
  RateLimitOptions,
} from '../gateway/options.ts';
import type { Region } from '../topology/region.ts';
import { DEFAULTS } from './defaults.ts';
import type {
  AccessLogConfig,
  AuthenticationConfig,
  GatewayConfig,
  IssuerConfig,
  RateLimitConfig,
  RateLimitsConfig,
} from './define-gateway.ts';
import { gatewayPorts } from './ports.ts';
import { PUBLIC_KEY_ALGORITHMS } from './schema-access.ts';

/** Node gives header names in lower case; so the gateway need not convert on every request. */
function lowerCaseHeader(source: AccountSource): AccountSource {
  return source.kind === 'header' ? { ...source, name: source.name.toLowerCase() } : source;
}

function resolveKeys(issuer: IssuerConfig, base: string): KeySource {
  const { jwksUrl, keysFile, keys, secretFile, secretVariable } = issuer;
  if (jwksUrl !== undefined) return { kind: 'url', url: jwksUrl };
  if (keysFile !== undefined) return { kind: 'file', file: resolve(base, keysFile) };
  if (keys !== undefined) return { kind: 'inline', keys };
  if (secretFile !== undefined) return { kind: 'secret-file', file: resolve(base, secretFile) };
  return { kind: 'secret-environment', variable: secretVariable ?? '' };
}

function resolveIssuer(issuer: IssuerConfig, base: string): IssuerOptions {
  const keys = resolveKeys(issuer, base);
  const shared = keys.kind === 'secret-file' || keys.kind === 'secret-environment';
  return {
    issuer: issuer.issuer,
    audience: typeof issuer.audience === 'string' ? [issuer.audience] : issuer.audience,
    algorithms: issuer.algorithms ?? (shared ? ['HS256'] : PUBLIC_KEY_ALGORITHMS),
    keys,
  };
}

function resolveAuthentication(given: AuthenticationConfig, base: string): AuthenticationOptions {
  const defaults = DEFAULTS.gateway.authentication;
  const issuers = Object.entries(given.issuers).map(
    ([name, issuer]) => [name, resolveIssuer(issuer, base)] as const,
  );
  return {
    issuers: Object.fromEntries(issuers),
    required: given.required ?? defaults.required,
    publicPaths: given.publicPaths ?? defaults.publicPaths,
    passPreflights: given.passPreflights ?? defaults.passPreflights,
    ...(given.cookie === undefined ? {} : { cookie: given.cookie }),
    clockToleranceMs: given.clockToleranceMs ?? defaults.clockToleranceMs,
    verifiedMax: given.verifiedMax ?? defaults.verifiedMax,
    keyRefreshMs: given.keyRefreshMs ?? defaults.keyRefreshMs,
    keyCooldownMs: given.keyCooldownMs ?? defaults.keyCooldownMs,
    keyTimeoutMs: given.keyTimeoutMs ?? defaults.keyTimeoutMs,
    keyAgeMaxMs: given.keyAgeMaxMs ?? defaults.keyAgeMaxMs,
  };
}

function resolveLimit({ ratePerSecond, burst }: RateLimitConfig): RateLimit {
  return { ratePerSecond, burst: burst ?? Math.ceil(ratePerSecond) };
}

function resolveLimits(given: RateLimitsConfig): RateLimitOptions {
  const { perAccount, perClient } = given;
  return {
    ...(perAccount === undefined ? {} : { perAccount: resolveLimit(perAccount) }),
    ...(perClient === undefined ? {} : { perClient: resolveLimit(perClient) }),
    keysMax: given.keysMax ?? DEFAULTS.gateway.rateLimits.keysMax,
  };
}

function resolveLog(given: AccessLogConfig, around: Around): AccessLogOptions {
  const defaults = DEFAULTS.gateway.accessLog;
  return {
    directory:
      given.directory === undefined
        ? join(around.dataDirectory, 'logs')
        : resolve(around.base, given.directory),
    account: given.account ?? defaults.account,
    clientAddress: given.clientAddress ?? defaults.clientAddress,
    fileBytesMax: given.fileBytesMax ?? defaults.fileBytesMax,
    filesMax: given.filesMax ?? defaults.filesMax,
  };
}

interface Around {
  readonly regions: readonly Region[];
  /** Where relative paths start. */
  readonly base: string;
  readonly dataDirectory: string;
}

export function resolveGateway(gateway: GatewayConfig, around: Around): GatewayOptions {
  const defaults = DEFAULTS.gateway;
  const { authentication, rateLimits, accessLog = false } = gateway;
  const names = around.regions.map((region) => region.name);
  return {
    account: (gateway.account ?? defaults.account).map(lowerCaseHeader),
    ...(authentication === undefined
      ? {}
      : { authentication: resolveAuthentication(authentication, around.base) }),
    ...(rateLimits === undefined ? {} : { rateLimits: resolveLimits(rateLimits) }),
    trustedProxies: gateway.trustedProxies ?? defaults.trustedProxies,
    forwardedHeader: gateway.forwardedHeader ?? defaults.forwardedHeader,
    ...(accessLog === false ? {} : { accessLog: resolveLog(accessLog, around) }),
    listenAddress: gateway.listenAddress ?? defaults.listenAddress,
    ports: gatewayPorts(names, gateway),
    bodyLimitBytes: gateway.bodyLimitBytes ?? defaults.bodyLimitBytes,
    requestTimeoutMs: gateway.requestTimeoutMs ?? defaults.requestTimeoutMs,
    drainTimeoutMs: gateway.drainTimeoutMs ?? defaults.drainTimeoutMs,
    concurrencyMax: gateway.concurrencyMax ?? defaults.concurrencyMax,
    connectionsMax: gateway.connectionsMax ?? defaults.connectionsMax,
    connectionsPerClientMax: gateway.connectionsPerClientMax ?? defaults.connectionsPerClientMax,
    requestsPerConnectionMax: gateway.requestsPerConnectionMax ?? defaults.requestsPerConnectionMax,
    headerBytesMax: gateway.headerBytesMax ?? defaults.headerBytesMax,
    headersMax: gateway.headersMax ?? defaults.headersMax,
    urlBytesMax: gateway.urlBytesMax ?? defaults.urlBytesMax,
    headersTimeoutMs: gateway.headersTimeoutMs ?? defaults.headersTimeoutMs,
    stallTimeoutMs: gateway.stallTimeoutMs ?? defaults.stallTimeoutMs,
    websocketsMax: gateway.websocketsMax ?? defaults.websocketsMax,
    websocketIdleTimeoutMs: gateway.websocketIdleTimeoutMs ?? defaults.websocketIdleTimeoutMs,
    idempotencyKeys: gateway.idempotencyKeys ?? defaults.idempotencyKeys,
  };
}
