/** What is pending, what contradicts the past, and how a failure is told. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { failedLine, migrationFailed } from '../../src/migrations/failure.ts';
import { parseMigration, type MigrationFile } from '../../src/migrations/files.ts';
import { planMigrations, type AppliedRecord } from '../../src/migrations/plan.ts';

const file = (name: string, text = name): MigrationFile =>
  parseMigration({ scope: 'regional', name, path: `migrations/regional/${name}` }, `-- ${text}`);
const record = ({ name, checksum }: MigrationFile): AppliedRecord => ({ name, checksum });
const [a, b, c] = [file('0001_a.sql'), file('0002_b.sql'), file('0003_c.sql')];
const plan = (applied: readonly AppliedRecord[], files: readonly MigrationFile[]): string[] =>
  planMigrations({ applied, files, where: 'range r0001' }).pending.map(({ name }) => name);
const refuses = (says: RegExp, remedy: RegExp) => (error: unknown) => {
  assert.ok(isMeridianError(error, 'ERR_MIGRATION_CHANGED'));
  assert.match(error.message, says);
  assert.match(error.remedy, remedy);
  return true;
};

describe('planning', () => {
  test('gives what comes after the last one applied', () => {
    assert.deepEqual(plan([], [a, b]), ['0001_a.sql', '0002_b.sql']);
    assert.deepEqual(plan([record(a)], [a, b, c]), ['0002_b.sql', '0003_c.sql']);
    assert.deepEqual(plan([record(b), record(a)], [a, b]), []);
    assert.deepEqual(plan([], []), []);
  });

  test('refuses a file that was changed, removed or put before the past', () => {
    const changed = file('0001_a.sql', 'edited');
    assert.throws(
      () => plan([record(a)], [changed, b]),
      refuses(/^migrations\/regional\/0001_a\.sql was changed.* range r0001/, /new migration/),
    );
    assert.throws(
      () => plan([record(a), record(b)], [b]),
      refuses(/0001_a\.sql was applied in range r0001 and its file is gone/, /Restore/),
    );
    assert.throws(
      () => plan([record(a), record(c)], [a, b, c]),
      refuses(/0002_b\.sql is new but sorts before 0003_c\.sql/, /above that of 0003_c/),
    );
  });

  test('stopped anywhere and asked again, applies each file once and in order', () => {
    fc.assert(
      fc.property(fc.nat(12), fc.array(fc.nat(4)), (count, stops) => {
        const files = Array.from({ length: count }, (_, index) =>
          file(`${String(index + 1).padStart(4, '0')}_x.sql`),
        );
        const applied: AppliedRecord[] = [];
        for (const stop of [...stops, count]) {
          const { pending } = planMigrations({ applied, files, where: 'range r0001' });
          applied.push(...pending.slice(0, stop).map(record));
        }
        assert.deepEqual(applied, files.map(record));
      }),
    );
  });
});

describe('a failing statement', () => {
  const text = 'SELECT 1;\n\n-- why\nCREATE TABLE t (\n  é😀 int,\n  oops\n);\n';
  const migration = parseMigration(
    { scope: 'regional', name: '0002_x.sql', path: 'migrations/regional/0002_x.sql' },
    text,
  );
  const statement = migration.statements[1];
  assert.ok(statement !== undefined);

  test('is named with file, line, place and SQLSTATE', () => {
    // The server counts characters, of which the emoji is one.
    const position = [...statement.text.slice(0, statement.text.indexOf('oops'))].length + 1;
    const error = migrationFailed({
      file: migration,
      statement,
      error: { message: 'syntax error at or near ")"', sqlState: '42601', position },
      where: 'range r0001',
    });
    assert.equal(error.code, 'ERR_MIGRATION_FAILED');
    assert.equal(
      error.message,
      'migrations/regional/0002_x.sql:6 failed in range r0001: ' +
        'syntax error at or near ")" (SQLSTATE 42601)',
    );
  });

  test('without a position is named by its first line', () => {
    assert.equal(failedLine(statement, undefined), 4);
    assert.equal(failedLine(statement, 0), 4);
    assert.equal(failedLine(statement, 1), 4);
    assert.equal(failedLine(statement, 10_000), 7);
    const error = migrationFailed({
      file: migration,
      statement,
      error: { message: 'gone' },
      where: 'group us-east-1',
    });
    assert.match(error.message, /0002_x\.sql:4 failed in group us-east-1: gone$/);
  });
});
