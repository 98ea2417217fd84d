/** Migrations of a running platform with twelve ranges, through the command, while traffic runs. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { pgTable, text } from 'drizzle-orm/pg-core';
import type { MigrationMessage } from '../../src/control/migration.ts';
import {
  startTestPlatform,
  testConfig,
  writeFiles,
  type TestClient,
  type TestPlatform,
} from '../support/cluster.ts';
import { run } from '../unit/cli.rig.ts';

const RANGES = Array.from({ length: 12 }, (_, n) => `r${String(n + 1).padStart(4, '0')}`);
const purse = pgTable('purse', { accountId: text('account_id'), coins: text() });

describe('migrating a running platform', () => {
  let cluster: TestPlatform;
  let us: TestClient;
  /** An account of each range. */
  const accounts = new Map<string, string>();

  before(async () => {
    const changes = { rangesPerRegion: 4, latency: 'off' } as const;
    cluster = await startTestPlatform({ changes: () => changes });
    const declared = JSON.stringify(testConfig(cluster.directory, changes));
    await writeFile(
      join(cluster.directory, 'meridian.config.mjs'),
      `export default ${declared};\n`,
    );
    us = await cluster.connect('us-east');
    for (let n = 0; accounts.size < 12 && n < 200; n += 1) {
      const region = ['us-east', 'eu-west', 'ap-south'][n % 3] ?? '';
      const { id, home } = await us.createAccount({ region });
      if (accounts.has(home.range)) continue;
      accounts.set(home.range, id);
      await us.account(id).pool().query('INSERT INTO purse VALUES ($1, 0)', [id]);
    }
    assert.equal(accounts.size, 12);
  });
  after(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const write = (files: Record<string, string>): Promise<void> =>
    writeFiles(
      cluster.directory,
      Object.fromEntries(Object.entries(files).map(([name, sql]) => [`migrations/${name}`, sql])),
    );
  const migrate = async (
    ...args: string[]
  ): Promise<{ code: number; messages: MigrationMessage[]; err: string }> => {
    const all = ['migrate', '--config', 'meridian.config.mjs', '--json', ...args];
    const ran = run(all, { cwd: cluster.directory });
    const code = await ran.code;
    const messages = ran
      .out()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as MigrationMessage);
    return { code, messages, err: ran.err() };
  };
  /** When each range got the migration; undefined: not yet. */
  const appliedAt = async (name: string): Promise<Map<string, string>> => {
    const { groups } = await cluster.platform.status();
    const rows = await Promise.all(
      groups.map((group) =>
        cluster.sql<{ scope: string; at: string }>(
          group.leader ?? '',
          'SELECT scope, applied_at::text AS at FROM meridian.migration WHERE name = $1',
          [name],
        ),
      ),
    );
    return new Map(rows.flat().map(({ scope, at }) => [scope, at] as const));
  };

  test('columns and an index are added under load without one failed operation', async () => {
    const stop = new AbortController();
    let [done, failed] = [0, 0];
    const failures: unknown[] = [];
    const load = async (id: string): Promise<void> => {
      const account = us.account(id);
      while (!stop.signal.aborted) {
        try {
          // Prepared, and of every column: what a new column overtakes.
          await account.transaction(async (tx) => {
            await tx.query('SELECT * FROM purse WHERE account_id = $1', [id]);
            await tx.query('UPDATE purse SET coins = coins + 1 WHERE account_id = $1', [id]);
          });
          await account.pool().query('SELECT * FROM purse WHERE account_id = $1', [id]);
          const client = drizzle(account.readPool());
          await client.select().from(purse).where(eq(purse.accountId, id));
          done += 3;
        } catch (error) {
          failed += 1;
          failures.push(error);
        }
      }
    };
    const loads = [...accounts.values()].slice(0, 6).map(load);
    await write({
      'regional/0002_colour.sql': `ALTER TABLE purse ADD COLUMN colour text DEFAULT 'red' NOT NULL;`,
      'regional/0003_colour_index.sql':
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS purse_colour ON purse (colour);',
      'database/0002_symbol.sql': 'ALTER TABLE currency ADD COLUMN symbol text;',
    });
    const result = await migrate();
    const before = done;
    while (done < before + 30 && failed === 0) await new Promise((r) => setTimeout(r, 5));
    stop.abort();
    await Promise.all(loads);
    assert.equal(result.code, 0, JSON.stringify(result));
    assert.deepEqual([failed, failures[0]], [0, undefined]);
    assert.ok(done > 100, `${String(done)} operations`);
    assert.equal((await appliedAt('0003_colour_index.sql')).size, 12);
    const rows = await us
      .account(accounts.get('r0012') ?? '')
      .pool()
      .query(`SELECT colour FROM purse WHERE account_id = '${accounts.get('r0012') ?? ''}'`);
    assert.deepEqual(rows.rows, [{ colour: 'red' }]);
  });

  test('a dry run tells what would run where and what may lock, and changes nothing', async () => {
    await write({ 'regional/0004_coins_index.sql': 'CREATE INDEX purse_coins ON purse (coins);' });
    const { code, messages } = await migrate('--dry-run');
    assert.equal(code, 0);
    const [plan, end, ...more] = messages;
    assert.deepEqual([end?.kind, more], ['done', []]);
    assert.ok(plan?.kind === 'plan');
    const path = 'migrations/regional/0004_coins_index.sql';
    assert.deepEqual(
      plan.pending,
      RANGES.map((range) => ({ where: `range ${range}`, files: [{ path, statements: 1 }] })),
    );
    assert.deepEqual(
      plan.warnings.map(({ file, line, warning }) => [
        file,
        line,
        /CONCURRENTLY/.test(warning.remedy),
      ]),
      [[path, 1, true]],
    );
    assert.equal((await appliedAt('0004_coins_index.sql')).size, 0);
    await rm(join(cluster.directory, path));
  });

  test('a migration that fails in the seventh of twelve ranges goes on there', async () => {
    const [range = '', id = ''] = [...accounts].find(([name]) => name === 'r0007') ?? [];
    const note = (n: number): Promise<unknown> =>
      us.account(id).pool().query('INSERT INTO note VALUES ($1, $2, $3)', [id, n, 'twice']);
    await note(1);
    await note(2);
    const name = '0004_note_body.sql';
    await write({
      [`regional/${name}`]:
        'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS note_body ON note (account_id, body);',
    });
    const first = await migrate();
    assert.equal(first.code, 1);
    const last = first.messages.at(-1);
    assert.ok(last?.kind === 'failed');
    assert.equal(last.error.code, 'ERR_MIGRATION_FAILED');
    assert.match(last.error.message, /0004_note_body\.sql:1 failed in range r0007: .*note_body/);
    assert.doesNotMatch(last.error.message, /twice/);
    assert.deepEqual(
      last.pending.map(({ where }) => where),
      RANGES.slice(6).map((one) => `range ${one}`),
    );
    const before = await appliedAt(name);
    assert.deepEqual([...before.keys()].sort(), RANGES.slice(0, 6));
    // The index that could not be made is not left behind to slow down writes.
    const { home } = { home: await us.locate(id) };
    const { groups } = await cluster.platform.status();
    const leader = groups.find((group) => group.name === home.group)?.leader ?? '';
    const index = `SELECT to_regclass('${range}.note_body') AS made`;
    assert.deepEqual(await cluster.sql(leader, index), [{ made: null }]);

    await us
      .account(id)
      .pool()
      .query(`UPDATE note SET body = 'once' WHERE account_id = $1 AND id = 2`, [id]);
    const second = await migrate();
    assert.equal(second.code, 0, JSON.stringify(second));
    const steps = second.messages.flatMap((one) => (one.kind === 'step' ? [one.summary] : []));
    assert.deepEqual(
      steps
        .filter((summary) => summary.startsWith('prepare range'))
        .map((one) => one.split(' ')[2]),
      RANGES.slice(6),
    );
    const afterwards = await appliedAt(name);
    for (const [one, at] of before) assert.equal(afterwards.get(one), at, 'not run again');
    assert.equal(afterwards.size, 12);
    assert.deepEqual((await migrate()).messages.at(-1), { kind: 'done' });
  });
});
