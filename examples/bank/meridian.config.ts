/** Where the bank runs, and where its data lives. `meridian config` prints it with every default. */
import { accountFromPath, defineConfig, global, regional } from 'meridian';

export default defineConfig({
  regions: {
    'us-east': { zones: ['a', 'b', 'c'], coordinates: { latitude: 38.9, longitude: -77.4 } },
    'eu-west': { zones: ['a', 'b', 'c'], coordinates: { latitude: 53.3, longitude: -6.3 } },
    'ap-south': { zones: ['a', 'b', 'c'], coordinates: { latitude: 19.1, longitude: 72.9 } },
  },
  primaryRegion: 'us-east',
  survive: 'zone',
  latency: {
    betweenRegionsMs: {
      'us-east|eu-west': 80,
      'us-east|ap-south': 200,
      'eu-west|ap-south': 140,
    },
  },
  tables: {
    currency: global(),
    country: global(),
    customer: regional({ by: 'account_id' }),
    savings: regional({ by: 'account_id' }),
    checking: regional({ by: 'account_id' }),
    entry: regional({ by: 'account_id' }),
  },
  app: {
    command: ['node', '../../dist/examples/bank/server.js'],
    instancesPerRegion: 2,
  },
  gateway: {
    account: [accountFromPath('/accounts/:account')],
    // Its routes pass the key on to their transactions (routes.ts).
    idempotencyKeys: true,
  },
  traffic: {
    command: ['node', '../../dist/examples/bank/drive.js'],
  },
});
