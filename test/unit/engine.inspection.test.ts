/** What the inspection of statements refuses, what it calls soiling, and what it lets alone. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { inspect } from '../../src/engines/postgres/inspection.ts';

const REFUSED = [
  'BEGIN',
  'begin isolation level read committed',
  'START TRANSACTION',
  'COMMIT',
  'commit and chain',
  'END',
  'ABORT',
  'ROLLBACK',
  'rollback work',
  'ROLLBACK AND NO CHAIN',
  "PREPARE TRANSACTION 'x'",
  "COMMIT PREPARED 'x'",
  "ROLLBACK PREPARED 'x'",
  'SET TRANSACTION READ ONLY',
  'SET LOCAL TRANSACTION ISOLATION LEVEL READ COMMITTED',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  'SET SESSION AUTHORIZATION postgres',
  'SET ROLE meridian_global_writer',
  'SET LOCAL ROLE x',
  'RESET ROLE',
  'RESET SESSION AUTHORIZATION',
  'SET search_path = r0002',
  'SET LOCAL search_path TO r0002',
  "SET SCHEMA 'r0002'",
  'RESET search_path',
  "SET meridian.account = 'bert'",
  "SET LOCAL meridian.account = 'bert'",
  `SET LOCAL "meridian"."account" TO 'bert'`,
  `SET "meridian.account" TO 'bert'`,
  'RESET meridian.account',
  'SET standard_conforming_strings = off',
  'SET transaction_isolation = serializable',
  "SELECT set_config('meridian.account', 'bert', true)",
  "SELECT pg_catalog.set_config('Meridian.Account', $1, true)",
  `SELECT "set_config"('meridian.account', 'bert', true)`,
  "SELECT set_config('meridian' || '.account', 'bert', true)",
  "SELECT set_config(E'meridian.account', 'bert', true)",
  'SELECT set_config($1, $2, true)',
  "SELECT U&\"set\\005fconfig\"('meridian.account', 'bert', true)",
  "SELECT meridian.enter('g', 1, 'r', 1, 'bert')",
  "SELECT * FROM meridian . enter_replica('g')",
  `SELECT "meridian"."use_scope"('r', 'bert')`,
  "UPDATE pg_settings SET setting = 'bert' WHERE name = 'meridian.account'",
  "DO $$ BEGIN PERFORM set_config('meridian.account', 'bert', true); END $$",
  'ALTER ROLE meridian_app SET synchronous_commit = off',
  "ALTER USER CURRENT_USER PASSWORD 'x'",
  'DEALLOCATE ALL',
  'DEALLOCATE PREPARE meridian_1',
  'DISCARD ALL',
  'SELECT 1; COMMIT',
  'SELECT 1;; /* ; */ commit -- done',
];

const SOILING = [
  'SET work_mem = 1000',
  'SET SESSION work_mem TO 1000',
  "SET TIME ZONE 'UTC'",
  'RESET work_mem',
  'RESET ALL',
  "SELECT set_config('work_mem', '1', false)",
  "SELECT set_config('work_mem', '1', $1)",
  'LISTEN news',
  'UNLISTEN *',
  'PREPARE p AS SELECT 1',
  'DEALLOCATE p',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'SELECT pg_advisory_lock(1)',
  'SELECT pg_try_advisory_lock_shared(1)',
  'DO $$ BEGIN NULL; END $$',
  'CALL tidy()',
  'DISCARD PLANS',
  "LOAD 'x'",
  'SELECT 1; SET work_mem = 1',
];

const HARMLESS = [
  '',
  ';',
  'SELECT 1',
  'SAVEPOINT s',
  'RELEASE SAVEPOINT s',
  'SET LOCAL work_mem = 1000',
  'SET CONSTRAINTS ALL DEFERRED',
  "SELECT set_config('work_mem', coalesce('1', '2'), true)",
  'SELECT pg_advisory_xact_lock(1)',
  'DECLARE c CURSOR FOR SELECT 1',
  "UPDATE purse SET coins = 1 WHERE name = 'COMMIT; SET ROLE x'",
  'SELECT CASE WHEN true THEN 1 END',
  'SELECT 1 -- ; COMMIT',
  'SELECT /* ; COMMIT; */ 1',
  'SELECT $$; COMMIT; $$',
  'SELECT "commit"; SELECT "set" FROM "begin"',
  'INSERT INTO meridian.account (id, range) VALUES ($1, $2)',
  'SELECT setting FROM pg_settings',
  'SELECT u & 1 FROM t',
];

describe('the inspection of statements', () => {
  test('refuses what would end the transaction or change whose rows it sees', () => {
    const sent = REFUSED.filter((text) => inspect(text).refusal === undefined);
    assert.deepEqual(sent, []);
  });

  test('knows what leaves something behind', () => {
    for (const text of SOILING) {
      assert.equal(inspect(text).refusal, undefined, text);
      assert.equal(inspect(text).soils, true, text);
    }
  });

  test('lets everything else alone', () => {
    for (const text of HARMLESS) {
      assert.deepEqual(
        inspect(text),
        { refusal: undefined, soils: false, unsettles: false, limits: false },
        text,
      );
    }
  });

  test('has the scope set again after what may have changed it', () => {
    for (const text of ['ROLLBACK TO s', 'ROLLBACK WORK TO SAVEPOINT s', 'RESET ALL', 'CALL f()']) {
      assert.equal(inspect(text).unsettles, true, text);
    }
  });

  test('knows a time limit of its own, which must end before the commit', () => {
    assert.equal(inspect('SET LOCAL statement_timeout = 1').limits, true);
    assert.equal(inspect("SELECT set_config('Statement_Timeout', '1', true)").limits, true);
  });

  test('is not misled by case, space or comments, and never throws', () => {
    const noise = fc.constantFrom(' ', '\n', '\t ', '/* x; */', '/* /* n */ */', '-- y;\n');
    fc.assert(
      fc.property(
        fc.constantFrom(...REFUSED.slice(0, 10)),
        fc.tuple(noise, noise, fc.boolean()),
        (text, [before, between, upper]) => {
          const words = (upper ? text.toUpperCase() : text.toLowerCase()).split(' ');
          const spelled = `${before}${words.join(` ${between} `)}`;
          assert.notEqual(inspect(`SELECT 'a;b';${spelled}`).refusal, undefined, spelled);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        inspect(text);
      }),
    );
  });
});
