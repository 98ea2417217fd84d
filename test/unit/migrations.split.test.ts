/** SQL text is cut where the server would cut it, and refused where it could not run. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { tokenize } from '../../src/migrations/lexer.ts';
import { splitStatements } from '../../src/migrations/split.ts';

const split = (text: string): string[] =>
  splitStatements(text, 'f.sql').map((statement) => statement.text);

describe('splitting', () => {
  const whole: readonly (readonly [string, string])[] = [
    ['a string', `SELECT 'a;b'`],
    ['a doubled quote', `SELECT 'it''s; fine'`],
    ['a backslash that escapes nothing', `SELECT 'a\\', 'b;c'`],
    ['a backslash in an E string', `SELECT E'a\\';b'`],
    ['a small e string', `SELECT e'a\\';b'`],
    ['a continued E string', `SELECT E'a'\n  'b\\';c'`],
    ['a continued E string past a comment', `SELECT E'a' -- it's\n 'b\\';c'`],
    ['an identifier that ends with E', `SELECT typE'a\\', ';'`],
    ['a unicode string', `SELECT U&'d\\0061t;a'`],
    ['a quoted name', `SELECT 1 AS "a;""b;"`],
    ['a dollar quote', `SELECT $$a;'b$$`],
    ['a tagged dollar quote', `DO $body$ BEGIN x := $$;$$; END; $body$`],
    ['a dollar in a name, which is no quote', `SELECT a$b$c, 'x$b$;'`],
    ['parameters, which are no quotes', `SELECT $1, ';$1'`],
    ['a line comment', `SELECT 1 -- not; here\n + 2`],
    ['a nested comment', `SELECT /* a; /* b; */ c; */ 1`],
    ['an operator beside a comment', `SELECT 1 +/*;*/ 2`],
    ['parentheses', `CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)`],
    [
      'a body of BEGIN ATOMIC',
      `CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END`,
    ],
    [
      'CASE in a body',
      `CREATE OR REPLACE FUNCTION f(a int) RETURNS int BEGIN ATOMIC
         SELECT CASE a WHEN 1 THEN 2 END; SELECT (CASE a WHEN 1 THEN 2 END); END`,
    ],
    ['a procedure', `CREATE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END`],
    ['letters of other alphabets', `SELECT 'ä;ö', naïveté$x$ FROM 表`],
  ];
  for (const [what, text] of whole) {
    test(`keeps ${what} in one statement`, () => {
      assert.deepEqual(split(`${text};\nSELECT 2;`), [text, 'SELECT 2']);
      assert.deepEqual(split(text), [text]);
    });
  }

  test('numbers lines from the first word of each statement', () => {
    const text = `-- head\n\nCREATE TABLE a (\n  id int\n); SELECT 1;\n/* two\nlines */ SELECT\n2`;
    const found = splitStatements(text, 'f.sql').map(({ line, offset }) => [line, text[offset]]);
    assert.deepEqual(found, [
      [3, 'C'],
      [5, 'S'],
      [7, 'S'],
    ]);
  });

  test('finds no statement in nothing', () => {
    for (const text of ['', ' \n', ';', '-- x', '/* x */ ; ;\n;'])
      assert.deepEqual(split(text), []);
  });

  test('leaves comments around a statement out, and keeps those inside', () => {
    assert.deepEqual(split('/* a */ SELECT /* b */ 1 -- c\n; -- d'), ['SELECT /* b */ 1']);
  });

  test('does not take END of a plain statement for a body', () => {
    assert.deepEqual(split('SELECT CASE 1 WHEN 1 THEN 2 END; SELECT 2'), [
      'SELECT CASE 1 WHEN 1 THEN 2 END',
      'SELECT 2',
    ]);
  });

  test('is quick on long and hostile input', () => {
    const start = performance.now();
    split(`${'SELECT 1;\n'.repeat(20_000)}`);
    split(`SELECT "${'""'.repeat(50_000)}"`);
    split(`SELECT E'a'${'-- '.repeat(20_000)}`);
    assert.ok(performance.now() - start < 5_000);
  });
});

describe('refused with file and line', () => {
  const refused: readonly (readonly [string, number, RegExp])[] = [
    ['SELECT 1;\nBEGIN;', 2, /BEGIN controls/],
    ['commit', 1, /COMMIT controls/],
    ['\n\nrollback to x', 3, /ROLLBACK/],
    ['START TRANSACTION', 1, /START TRANSACTION/],
    ['end', 1, /END/],
    ['savepoint a', 1, /SAVEPOINT/],
    ["PREPARE TRANSACTION 'x'", 1, /PREPARE TRANSACTION/],
    ['CREATE INDEX\n  CONCURRENTLY i ON t (a)', 2, /CONCURRENTLY/],
    ['REINDEX TABLE CONCURRENTLY t', 1, /CONCURRENTLY/],
    ['DROP INDEX concurrently i', 1, /CONCURRENTLY/],
    ['SELECT 1;\n\\i other.sql', 2, /psql/],
    ['SELECT 1 \\gset', 1, /psql/],
    ['COPY t FROM STDIN;', 1, /COPY/],
    ["SELECT 1;\nSELECT 'open", 2, /quote never ends/],
    ['SELECT $a$ x $b$', 1, /quote never ends/],
    ['SELECT "x', 1, /quote never ends/],
    ["SELECT E'x\\'", 1, /quote never ends/],
    ['SELECT 1;\n/* a /* b */', 2, /comment never ends/],
  ];
  for (const [text, line, says] of refused) {
    test(JSON.stringify(text), () => {
      assert.throws(
        () => splitStatements(text, 'migrations/regional/0001_x.sql'),
        (error: unknown) => {
          assert.ok(isMeridianError(error, 'ERR_MIGRATION_INVALID'));
          assert.match(error.message, new RegExp(`^migrations/regional/0001_x\\.sql:${line}: `));
          assert.match(error.message, says);
          assert.notEqual(error.remedy, '');
          return true;
        },
      );
    });
  }

  test('but not words that only look alike', () => {
    for (const text of [
      'PREPARE p AS SELECT 1',
      `SELECT 'BEGIN'`,
      'CREATE TABLE "commit" (begin_at int)',
      'REFRESH MATERIALIZED VIEW CONCURRENTLY v',
      `COMMENT ON TABLE t IS 'CONCURRENTLY'`,
      "COPY t FROM '/x'",
    ]) {
      assert.deepEqual(split(text), [text]);
    }
  });
});

describe('for any text', () => {
  const quoted = fc.oneof(
    fc.string().map((text) => `'${text.replaceAll("'", "''")}'`),
    fc.string().map((text) => `E'${text.replaceAll(/[\\']/g, '\\$&')}'`),
    fc.string().map((text) => `"${text.replaceAll('"', '""')}"`),
    fc.string().map((text) => `$q$${text.replaceAll('$', '')}$q$`),
    fc.string().map((text) => `/*${text.replaceAll(/[*/]/g, '')}*/ 1`),
    fc.string().map((text) => `--${text.replaceAll(/[\r\n]/g, '')}\n1`),
    fc.string().map((text) => `(${text.replaceAll(/[^;a-z ]/g, '')})`),
  );

  test('the tokens joined are the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(quoted), (noise, quotes) => {
        const text = noise + quotes.join(noise);
        const joined = tokenize(text)
          .map(({ start, end }) => text.slice(start, end))
          .join('');
        assert.equal(joined, text);
      }),
    );
  });

  test('statements joined by semicolons come back as they were', () => {
    const statement = fc
      .array(quoted, { minLength: 1, maxLength: 4 })
      .map((parts) => `SELECT ${parts.join(' , ')} , x`);
    fc.assert(
      fc.property(fc.array(statement), (statements) => {
        const text = statements.map((each) => `${each} ;\n-- between;\n`).join('');
        const found = splitStatements(text, 'f.sql');
        assert.deepEqual(
          found.map((each) => each.text),
          statements,
        );
        for (const { text: own, offset, line } of found) {
          assert.equal(text.slice(offset, offset + own.length), own);
          const before = text.slice(0, offset).match(/\r\n|\n|\r/g)?.length ?? 0;
          assert.equal(line, before + 1);
        }
      }),
    );
  });
});

describe('CONCURRENTLY', () => {
  const concurrently = (text: string): unknown =>
    splitStatements(text, 'f.sql').map((statement) => statement.concurrently);

  test('is taken alone in its file, and when it may be run again', () => {
    assert.deepEqual(
      concurrently('-- why\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I""x" ON t (a >= 1);'),
      [
        {
          inTransaction: 'CREATE UNIQUE INDEX IF NOT EXISTS "I""x" ON t (a >= 1)',
          index: 'I"x',
        },
      ],
    );
    assert.deepEqual(concurrently('create index concurrently if not exists Abc on t (a)'), [
      { inTransaction: 'create index if not exists Abc on t (a)', index: 'abc' },
    ]);
    assert.deepEqual(concurrently('DROP INDEX CONCURRENTLY IF EXISTS i'), [
      { inTransaction: 'DROP INDEX IF EXISTS i' },
    ]);
    assert.deepEqual(concurrently('CREATE INDEX i ON t (a)'), [undefined]);
    assert.throws(
      () => concurrently('SELECT 1; CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)'),
      { code: 'ERR_MIGRATION_INVALID' },
    );
  });
});
