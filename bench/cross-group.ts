/**
 * What a payment between groups costs beside one inside the caller's region, at the default distances.
 *
 *   npm run bench -- cross-group [payments]
 *
 * One caller in us-east, one payment after the other: both accounts in its region, then the second in
 * Europe, then in Asia. Prints p50 and p95 of the whole call, statements included.
 */
import { mkdtemp, mkdir, rm, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeridianClient } from '../src/client/api.ts';
import { connect } from '../src/client/connect.ts';
import { resolveConfig } from '../src/config/resolve.ts';
import { silentLog } from '../src/kernel/log.ts';
import { startPlatform } from '../src/platform.ts';
import { regional } from '../src/topology/locality.ts';

const payments = Number(process.argv[2] ?? 30);
const REGIONS = ['us-east', 'eu-west', 'ap-south'];

const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
await chmod(directory, 0o755);
await mkdir(join(directory, 'migrations', 'regional'), { recursive: true });
await writeFile(
  join(directory, 'migrations', 'regional', '0001_purse.sql'),
  'CREATE TABLE purse (account_id text PRIMARY KEY, coins bigint NOT NULL) WITH (fillfactor = 50);',
);
const config = resolveConfig(
  {
    regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
    primaryRegion: 'us-east',
    migrations: join(directory, 'migrations'),
    tables: { purse: regional({ by: 'account_id' }) },
    gateway: { ports: Object.fromEntries(REGIONS.map((region) => [region, 0])) },
    dataDirectory: join(directory, 'data'),
  },
  join(directory, 'meridian.config.ts'),
);
const platform = await startPlatform(config, {
  fresh: false,
  log: silentLog,
  onProgress: () => {},
});
try {
  const db = await connect({
    controlUrl: platform.env['MERIDIAN_CONTROL_URL'] ?? '',
    controlToken: platform.env['MERIDIAN_CONTROL_TOKEN'] ?? '',
    region: 'us-east',
  });
  await open(db, 'payer', 'us-east');
  for (const region of REGIONS) await open(db, `payee.${region}`, region);
  for (const region of REGIONS) {
    await pay(db, `payee.${region}`);
    const took: number[] = [];
    for (let count = 0; count < payments; count += 1) {
      const startedAt = performance.now();
      await pay(db, `payee.${region}`);
      took.push(performance.now() - startedAt);
    }
    took.sort((a, b) => a - b);
    const at = (share: number): string =>
      (took[Math.min(took.length - 1, Math.floor(share * took.length))] ?? NaN).toFixed(0);
    process.stdout.write(`us-east -> ${region}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms\n`);
  }
  await db.close();
} finally {
  await platform.stop();
  await rm(directory, { recursive: true, force: true });
}

async function open(db: MeridianClient, id: string, region: string): Promise<void> {
  await db.createAccount({ id, region });
  await db
    .account(id)
    .transaction((tx) => tx.query('INSERT INTO purse VALUES ($1, 1000000)', [id]));
}

/** Statements that don't wait for each other, so that the commit is what is measured. */
async function pay(db: MeridianClient, to: string): Promise<void> {
  const add = 'UPDATE purse SET coins = coins + $2 WHERE account_id = $1';
  await db.transaction(['payer', to], async (tx) => {
    await Promise.all([tx['payer']?.query(add, ['payer', -1]), tx[to]?.query(add, [to, 1])]);
  });
}
