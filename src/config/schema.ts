/**
 * The shape of a declaration, key by key. Every schema's error text says what was expected, as the end
 * of "expected …"; validate.ts adds the key's path and what was found. Relations between keys are in
 * cross-checks.ts.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { REHOMING_MODES } from '../placement/rehoming-mode.ts';
import { accessLog, authentication, proxy, rateLimits } from './schema-access.ts';
import { integer, number, oneOf, path, text, timeout } from './schema-values.ts';

const port = integer(0, 65_535);
const latencyMs = number(0, 60_000);
const price = number(0, 1_000_000);

const command = z
  .array(text('a program or argument as text'), {
    error: "a program and its arguments, such as ['node', 'server.js']",
  })
  .min(1, { error: "a program and its arguments, such as ['node', 'server.js']" });

const region = z.strictObject(
  {
    zones: z
      .array(text("a zone's name"), { error: "an array of zones' names" })
      .min(1, { error: 'at least one zone' })
      .optional(),
    coordinates: z
      .strictObject(
        { latitude: number(-90, 90), longitude: number(-180, 180) },
        { error: '{ latitude, longitude } in degrees' },
      )
      .optional(),
  },
  { error: 'an object; {} takes every default' },
);

const latency = z.union(
  [
    z.literal('off'),
    z.strictObject({
      betweenRegionsMs: z
        .record(z.string(), latencyMs, { error: "an object such as { 'us-east|eu-west': 80 }" })
        .optional(),
      betweenZonesMs: latencyMs.optional(),
      scale: number(0, 100).optional(),
    }),
  ],
  { error: "'off', or an object with betweenRegionsMs, betweenZonesMs or scale" },
);

const engine = z.strictObject(
  {
    adapter: oneOf(['postgres']),
    options: z.strictObject(
      {
        sharedBuffersMb: integer(1, 65_536).optional(),
        connectionsMax: integer(20, 10_000).optional(),
        fsync: z.boolean({ error: 'true or false' }).optional(),
        leaseMs: integer(500, 60_000).optional(),
        clockOffsetMaxMs: integer(0, 10_000).optional(),
      },
      { error: 'an object' },
    ),
  },
  { error: 'postgres()' },
);

const table = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('regional'), by: text("the account column's name") }),
    z.strictObject({ kind: z.literal('global') }),
  ],
  { error: "regional({ by: 'account_id' }) or global()" },
);

const PATH_PATTERN = /^(?:\/[A-Za-z0-9._~-]+)*\/:account(?:\/[A-Za-z0-9._~-]+)*$/;
const HEADER_NAME = /^[A-Za-z0-9-]{1,64}$/;

const HOST_PATTERN = /^(?:[A-Za-z0-9-]+\.)*:account(?:\.[A-Za-z0-9-]+)+$/;
const HOST_EXPECTED = 'a host name with one :account label, such as :account.example.com';

const account = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({
      kind: z.literal('path'),
      pattern: z
        .string({ error: 'a path with one :account segment, such as /accounts/:account' })
        .regex(PATH_PATTERN, {
          error: 'a path with exactly one :account segment, such as /accounts/:account',
        }),
    }),
    z.strictObject({
      kind: z.literal('header'),
      name: z
        .string({ error: "a header's name, such as x-account" })
        .regex(HEADER_NAME, { error: "a header's name, such as x-account" }),
    }),
    z.strictObject({
      kind: z.literal('host'),
      pattern: z.string({ error: HOST_EXPECTED }).regex(HOST_PATTERN, { error: HOST_EXPECTED }),
    }),
    z.strictObject({
      kind: z.literal('claim'),
      name: text("a claim's name, such as account_id").max(128, {
        error: 'at most 128 characters',
      }),
      binding: oneOf(['always', 'when-present', 'never']),
    }),
  ],
  {
    error:
      "accountFromPath('/accounts/:account'), accountFromHeader('x-account'), " +
      "accountFromHost(':account.example.com') or accountFromClaim('account_id')",
  },
);

const healthPath = z
  .string({ error: 'a path that begins with /' })
  .regex(/^\/[^\s?#]*$/, { error: 'a path that begins with /' });

const app = z.strictObject(
  {
    command,
    instancesPerRegion: integer(1, 64).optional(),
    directory: path.optional(),
    env: z
      .record(z.string(), z.string({ error: 'text' }), { error: 'an object of texts' })
      .optional(),
    healthPath: healthPath.optional(),
    healthIntervalMs: timeout.optional(),
    drainTimeoutMs: timeout.optional(),
    startTimeoutMs: timeout.optional(),
  },
  { error: "an object with the app's command" },
);

const gateway = z.strictObject(
  {
    account: z.array(account, { error: 'an array of account sources' }).optional(),
    authentication: authentication.optional(),
    rateLimits: rateLimits.optional(),
    trustedProxies: z.array(proxy, { error: 'an array of addresses and networks' }).optional(),
    forwardedHeader: oneOf(['x-forwarded-for', 'forwarded']).optional(),
    accessLog: accessLog.optional(),
    listenAddress: z
      .string({ error: 'an IP address' })
      .refine((address) => isIP(address) !== 0, { error: 'an IP address' })
      .optional(),
    ports: z
      .record(z.string(), port, { error: "an object such as { 'us-east': 8081 }" })
      .optional(),
    basePort: integer(0, 65_500).optional(),
    bodyLimitBytes: integer(0, 1_073_741_824).optional(),
    requestTimeoutMs: timeout.optional(),
    drainTimeoutMs: timeout.optional(),
    concurrencyMax: integer(1, 1_000_000).optional(),
    connectionsMax: integer(1, 1_000_000).optional(),
    connectionsPerClientMax: integer(1, 1_000_000).optional(),
    requestsPerConnectionMax: integer(1, 2_000_000_000).optional(),
    headerBytesMax: integer(1_024, 1_048_576).optional(),
    headersMax: integer(8, 10_000).optional(),
    urlBytesMax: integer(64, 1_048_576).optional(),
    headersTimeoutMs: timeout.optional(),
    stallTimeoutMs: timeout.optional(),
    websocketsMax: integer(0, 1_000_000).optional(),
    websocketIdleTimeoutMs: integer(1, 86_400_000).optional(),
    idempotencyKeys: z.boolean({ error: 'true or false' }).optional(),
  },
  { error: 'an object' },
);

export const configSchema = z.strictObject(
  {
    regions: z.record(z.string(), region, {
      error: "regions by name, such as { 'us-east': {}, 'eu-west': {} }",
    }),
    primaryRegion: text("a region's name"),
    survive: oneOf(['zone', 'region']).optional(),
    residency: z
      .record(
        z.string(),
        z
          .array(text("a region's name"), { error: "an array of regions' names" })
          .min(1, { error: 'at least one region' }),
        { error: "regions by the residency's name, such as { 'eu-only': ['eu-west'] }" },
      )
      .optional(),
    groupsPerRegion: integer(1, 16).optional(),
    rangesPerRegion: integer(1, 1_024).optional(),
    latency: latency.optional(),
    engine: engine.optional(),
    migrations: path.optional(),
    tables: z.record(z.string(), table, {
      error: "tables by name, such as { orders: regional({ by: 'account_id' }) }",
    }),
    tenantFence: z.boolean({ error: 'true or false' }).optional(),
    app: app.optional(),
    gateway: gateway.optional(),
    traffic: z
      .strictObject(
        { command, directory: path.optional() },
        { error: "an object with the program's command" },
      )
      .optional(),
    dataDirectory: path.optional(),
    controlPort: port.optional(),
    startTimeoutMs: timeout.optional(),
    prices: z
      .strictObject(
        {
          currency: text("a currency's name").max(8, { error: "a currency's name" }).optional(),
          perGigabyte: z
            .record(z.string(), price, { error: "an object such as { 'us-east|eu-west': 0.02 }" })
            .optional(),
          otherPerGigabyte: price.optional(),
        },
        { error: 'an object with currency, perGigabyte or otherPerGigabyte' },
      )
      .optional(),
    statements: z
      .record(z.string(), text('a statement of SQL'), {
        error: "statements by name, such as { 'an order': 'SELECT …' }",
      })
      .optional(),
    rehoming: z
      .strictObject(
        {
          mode: oneOf(REHOMING_MODES).optional(),
          intervalMs: integer(1_000, 86_400_000).optional(),
          intervalsPerCycle: integer(1, 168).optional(),
          accountsMax: integer(1, 1_000_000).optional(),
          gainMin: number(0, 1).optional(),
          dominanceMin: number(0, 1).optional(),
          accessesMin: integer(1, 1_000_000_000).optional(),
          dwellCycles: integer(1, 14).optional(),
          vacatedShareMax: number(0, 1).optional(),
          vacatedIntervals: integer(1, 168).optional(),
          cooldownIntervals: integer(0, 100_000).optional(),
          bytesShareMax: number(0, 1).optional(),
          movesMax: integer(0, 1_000_000).optional(),
          hotAccessesMin: integer(1, 1_000_000_000).optional(),
          // Relief may leave a group with a fifth more than the mean: that must not be hot again.
          hotImbalanceMin: number(1.25, 1_000).optional(),
        },
        { error: 'an object' },
      )
      .optional(),
    heartbeat: z
      .strictObject(
        { activeMs: integer(10, 60_000).optional(), idleMs: integer(10, 60_000).optional() },
        { error: 'an object with activeMs or idleMs' },
      )
      .optional(),
    log: z
      .strictObject(
        { level: oneOf(['debug', 'info', 'warn', 'error']).optional() },
        { error: 'an object with the level' },
      )
      .optional(),
  },
  { error: 'a configuration object: export default defineConfig({ … })' },
);
