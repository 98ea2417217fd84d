/**
 * What the compiler says about a declaration: it accepts good ones, completes names, and refuses slips.
 * Nothing here runs; compiling this file is the test.
 */
import type { z } from 'zod';
import type { configSchema } from '../../src/config/schema.ts';
import {
  accountFromHeader,
  accountFromPath,
  defineConfig,
  global,
  postgres,
  regional,
  type MeridianConfig,
} from '../../src/index.ts';

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Fact extends true>(fact?: Fact): void => {
  void fact;
};

// The schema and the documented type know the same keys, at the top and in each part.
type Accepted = z.input<typeof configSchema>;
type Part<Config, Key extends keyof Config> = keyof Exclude<Config[Key], undefined | 'off'>;
holds<Equal<keyof Accepted, keyof MeridianConfig>>();
holds<Equal<Part<Accepted, 'app'>, Part<MeridianConfig, 'app'>>>();
holds<Equal<Part<Accepted, 'gateway'>, Part<MeridianConfig, 'gateway'>>>();
holds<Equal<Part<Accepted, 'latency'>, Part<MeridianConfig, 'latency'>>>();
holds<Equal<Part<Accepted, 'traffic'>, Part<MeridianConfig, 'traffic'>>>();
holds<Equal<Part<Accepted, 'heartbeat'>, Part<MeridianConfig, 'heartbeat'>>>();
holds<Equal<Part<Accepted, 'log'>, Part<MeridianConfig, 'log'>>>();
// Whatever passes the schema is a declaration.
const accepted: (config: Accepted) => MeridianConfig = (config) => config;
void accepted;

const regions = { 'us-east': {}, 'eu-west': { zones: ['a', 'b', 'c', 'd'] } };
const tables = { orders: regional({ by: 'account_id' }), currencies: global() };

void defineConfig({ regions, primaryRegion: 'us-east', tables });
void defineConfig(() => ({ regions, primaryRegion: 'eu-west', tables }));
void defineConfig(() => Promise.resolve({ regions, primaryRegion: 'eu-west' as const, tables }));
void defineConfig({
  regions: { 'us-east': {}, 'eu-west': { coordinates: { latitude: 53, longitude: -6 } } },
  primaryRegion: 'us-east',
  survive: 'zone',
  latency: { betweenRegionsMs: { 'eu-west|us-east': 75 }, scale: 0.5 },
  engine: postgres({ fsync: false }),
  tables,
  gateway: {
    account: [accountFromPath('/accounts/:account'), accountFromHeader('x-account')],
    ports: { 'us-east': 8081 },
  },
  app: { command: ['node', 'server.js'] },
  // What depends on the environment may be undefined.
  traffic: undefined,
});

// @ts-expect-error -- no such region
void defineConfig({ regions, primaryRegion: 'us-west', tables });
// @ts-expect-error -- tables are required
void defineConfig({ regions, primaryRegion: 'us-east' });
// @ts-expect-error -- an unknown survival goal
void defineConfig({ regions, primaryRegion: 'us-east', tables, survive: 'planet' });
void defineConfig({
  regions,
  primaryRegion: 'us-east',
  tables,
  // @ts-expect-error -- an unknown region among the ports
  gateway: { ports: { 'us-west': 1 } },
});
void defineConfig({
  regions,
  primaryRegion: 'us-east',
  tables,
  // @ts-expect-error -- a pair with an unknown region
  latency: { betweenRegionsMs: { 'us-east|x': 1 } },
});
// @ts-expect-error -- a misspelt key
void defineConfig({ regions, primaryRegion: 'us-east', tables, gatway: {} });
// @ts-expect-error -- regional needs its account column
regional({});
