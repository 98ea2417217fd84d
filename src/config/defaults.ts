/**
 * Every default of the configuration, here and nowhere else. The shape follows the declaration's keys,
 * so that docs/reference/config.md can be compared with it in both directions.
 */
import type { LogLevel } from '../kernel/log.ts';
import type { AccessLogOptions, AccountSource, GatewayOptions } from '../gateway/options.ts';
import type { RehomingMode } from '../placement/rehoming-mode.ts';
import { HOT_GROUP_DEFAULTS } from '../placement/hot-group-policy.ts';
import { REHOMING_DEFAULTS } from '../placement/rehoming-policy.ts';
import type { SurvivalGoal } from '../topology/survival.ts';

export const DEFAULTS = {
  regions: { '<region>': { zones: ['a', 'b', 'c'] as readonly string[] } },
  survive: 'zone' as SurvivalGoal,
  residency: {} as Readonly<Record<string, readonly string[]>>,
  groupsPerRegion: 1,
  rangesPerRegion: 1,
  latency: { betweenZonesMs: 1, scale: 1 },
  engine: {
    adapter: 'postgres',
    options: {
      sharedBuffersMb: 8,
      connectionsMax: 100,
      fsync: true,
      leaseMs: 3_000,
      clockOffsetMaxMs: 0,
    },
  },
  migrations: './migrations',
  tenantFence: true,
  app: {
    instancesPerRegion: 2,
    directory: '.',
    healthPath: '/healthz',
    healthIntervalMs: 1_000,
    // With the gateways' two seconds, and run side by side, this keeps Ctrl-C within five.
    drainTimeoutMs: 2_000,
    startTimeoutMs: 20_000,
  },
  gateway: {
    account: [{ kind: 'path', pattern: '/accounts/:account' }] as readonly AccountSource[],
    authentication: {
      required: true,
      publicPaths: [] as readonly string[],
      passPreflights: false,
      clockToleranceMs: 5_000,
      // About 2 KB each.
      verifiedMax: 10_000,
      keyRefreshMs: 300_000,
      keyCooldownMs: 10_000,
      keyTimeoutMs: 5_000,
      keyAgeMaxMs: 3_600_000,
    },
    rateLimits: { keysMax: 65_536 },
    trustedProxies: [] as readonly string[],
    forwardedHeader: 'x-forwarded-for' as GatewayOptions['forwardedHeader'],
    accessLog: {
      account: true,
      clientAddress: 'truncated' as AccessLogOptions['clientAddress'],
      fileBytesMax: 67_108_864,
      filesMax: 3,
    },
    listenAddress: '127.0.0.1',
    basePort: 8_080,
    bodyLimitBytes: 1_048_576,
    requestTimeoutMs: 15_000,
    drainTimeoutMs: 2_000,
    concurrencyMax: 2_048,
    connectionsMax: 8_192,
    connectionsPerClientMax: 1_024,
    requestsPerConnectionMax: 10_000,
    headerBytesMax: 16_384,
    headersMax: 100,
    urlBytesMax: 8_192,
    headersTimeoutMs: 10_000,
    stallTimeoutMs: 10_000,
    websocketsMax: 1_024,
    websocketIdleTimeoutMs: 300_000,
    idempotencyKeys: false,
  },
  prices: { currency: 'USD', perGigabyte: {}, otherPerGigabyte: 0.02 },
  statements: {},
  rehoming: {
    mode: 'suggest' as RehomingMode,
    intervalMs: 3_600_000,
    intervalsPerCycle: 24,
    accountsMax: 20_000,
    ...REHOMING_DEFAULTS,
    hotAccessesMin: HOT_GROUP_DEFAULTS.accessesMin,
    hotImbalanceMin: HOT_GROUP_DEFAULTS.imbalanceMin,
  },
  traffic: { directory: '.' },
  dataDirectory: '.meridian',
  controlPort: 0,
  startTimeoutMs: 60_000,
  heartbeat: { activeMs: 100, idleMs: 1_000 },
  log: { level: 'info' as LogLevel },
} as const;

/**
 * Round trips between the regions of the examples, in milliseconds: rounded from what cloud providers
 * publish for northern Virginia, Ireland and Mumbai. Keyed by `regionPair`.
 */
export const REGION_PAIR_MS: Readonly<Record<string, number>> = {
  'eu-west|us-east': 80,
  'ap-south|us-east': 200,
  'ap-south|eu-west': 140,
};

/** A pair of regions of which nothing else is known. */
export const UNKNOWN_PAIR_MS = 100;

/** File names looked for, in this order. */
export const CONFIG_FILE_NAMES = [
  'meridian.config.ts',
  'meridian.config.mts',
  'meridian.config.js',
  'meridian.config.mjs',
] as const;
