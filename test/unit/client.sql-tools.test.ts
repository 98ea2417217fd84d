/** How statements that control a transaction are read, and errors shown, for SQL tools. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import pg from 'pg';
import { askedOf } from '../../src/client/sql-tools/asked.ts';
import { controlOf } from '../../src/client/sql-tools/control-statement.ts';
import { asDatabaseError } from '../../src/client/sql-tools/database-error.ts';
import type { Handle } from '../../src/client/handle.ts';
import { ownHost, type Perform } from '../../src/client/sql-tools/own-host.ts';
import { poolOn } from '../../src/client/sql-tools/pool.ts';
import { MeridianError } from '../../src/kernel/errors.ts';

describe('control of a transaction', () => {
  const read = (text: string): unknown => controlOf(text);

  test('BEGIN in every spelling, with what it says about writing', () => {
    const begin = { kind: 'begin', tag: 'BEGIN' };
    for (const text of ['begin', ' BEGIN ;', 'begin work', 'BEGIN TRANSACTION', '-- x\nbegin']) {
      assert.deepEqual(read(text), begin, text);
    }
    assert.deepEqual(read('begin isolation level serializable read only deferrable'), {
      ...begin,
      readOnly: true,
    });
    assert.deepEqual(read('start transaction isolation level read committed, read write'), {
      kind: 'begin',
      tag: 'START',
      readOnly: false,
    });
    assert.deepEqual(read('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ'), {
      kind: 'set-transaction',
    });
  });

  test('ends and savepoints', () => {
    for (const text of ['COMMIT', 'end', 'commit work', 'COMMIT AND NO CHAIN']) {
      assert.deepEqual(read(text), { kind: 'commit' }, text);
    }
    for (const text of ['rollback', 'ABORT', 'ROLLBACK TRANSACTION;']) {
      assert.deepEqual(read(text), { kind: 'rollback' }, text);
    }
    assert.deepEqual(read('savepoint "A ""b"'), { kind: 'savepoint', name: 'A "b' });
    assert.deepEqual(read('SAVEPOINT Sp1'), { kind: 'savepoint', name: 'sp1' });
    assert.deepEqual(read('release savepoint sp1'), { kind: 'release', name: 'sp1' });
    assert.deepEqual(read('release "sp1"'), { kind: 'release', name: 'sp1' });
    assert.deepEqual(read('rollback to savepoint sp1'), { kind: 'rollback to', name: 'sp1' });
    assert.deepEqual(read('rollback work to sp1'), { kind: 'rollback to', name: 'sp1' });
  });

  test('what cannot be honoured is refused, and the rest is left to the database', () => {
    const states = {
      'begin; select 1': '0A000',
      'commit and chain': '0A000',
      "commit prepared 'x'": '0A000',
      "prepare transaction 'x'": '0A000',
      'set session characteristics as transaction read only': '0A000',
      'begin nonsense': '42601',
      'savepoint a b': '42601',
      'savepoint 1': '42601',
    };
    for (const [text, sqlState] of Object.entries(states)) {
      const control = controlOf(text);
      assert.equal(control?.kind === 'refused' ? control.sqlState : control, sqlState, text);
    }
    for (const text of [
      'select 1',
      'set local lock_timeout = 5',
      'prepare p as select 1',
      '/* begin */ select 1',
      'beginning',
      'end_of_year()',
      '',
    ]) {
      assert.equal(read(text), undefined, text);
    }
  });
});

describe('errors', () => {
  test('what the database said is shown as by pg, without the values of rows', () => {
    const cause = Object.assign(new Error('duplicate key'), { code: '23505' });
    const error = new MeridianError('ERR_ENGINE_STATEMENT', 'query on n: duplicate key', {
      cause,
      details: { sqlState: '23505', constraint: 'k', table: 't' },
    });
    const shown = asDatabaseError(error) as pg.DatabaseError;
    assert.ok(shown instanceof pg.DatabaseError);
    assert.deepEqual(
      [shown.code, shown.constraint, shown.table, shown.message, shown.cause],
      ['23505', 'k', 't', 'duplicate key', error],
    );
    assert.equal(shown.detail, undefined);
  });

  test('a plan that a migration has overtaken is to be run again', () => {
    const error = new MeridianError('ERR_ENGINE_UNAVAILABLE', 'cached plan must not change', {
      details: { sqlState: '0A000' },
    });
    assert.equal((asDatabaseError(error) as pg.DatabaseError).code, '40001');
  });

  test('an unknown outcome stays what it is', () => {
    const error = new MeridianError('ERR_ENGINE_COMMIT_UNKNOWN', 'lost', {
      outcome: 'unknown',
      details: { sqlState: '57P01' },
    });
    assert.equal(asDatabaseError(error), error);
  });

  test('a query that is none is refused at once', () => {
    assert.throws(() => askedOf([undefined]), TypeError);
    assert.throws(() => askedOf([{ text: 5 }]), TypeError);
    assert.throws(() => askedOf([{ text: 'x', rows: 5 }]), { code: 'ERR_ENGINE_UNSUPPORTED' });
    const { statement } = askedOf([{ text: 'x', values: [1], rowMode: 'array', name: 'n' }, [2]]);
    assert.deepEqual(statement, { text: 'x', values: [2], rowMode: 'array', types: undefined });
  });
});

describe('a block of a pool', () => {
  const result = { rows: [], rowCount: 1, command: 'UPDATE', fields: [] };
  const handle = {
    attempt: 1,
    signal: new AbortController().signal,
    session: { failure: undefined, query: async () => result },
  } as unknown as Handle;
  /** Performs as the library does: again while it may, and then the end that is given. */
  const performing =
    (log: string[], ends: readonly (MeridianError | undefined)[]): Perform =>
    async (piece) => {
      for (const end of ends) {
        const value = await piece.run([handle]);
        log.push('ran');
        if (end === undefined) {
          return { value, token: '', attempts: 1, node: 'n', replayed: false };
        }
        if (piece.mayRunAgain?.() === false) throw end;
      }
      throw new MeridianError('ERR_RETRIES_EXHAUSTED', 'gave up');
    };
  const conflict = new MeridianError('ERR_ENGINE_SERIALIZATION', 'conflict', {
    details: { sqlState: '40001' },
  });

  test('an unknown outcome of COMMIT is thrown as such, once, and nothing is repeated', async () => {
    const unknown = new MeridianError('ERR_ENGINE_COMMIT_UNKNOWN', 'lost', { outcome: 'unknown' });
    const log: string[] = [];
    const client = await poolOn(ownHost(false, performing(log, [unknown, undefined]))).connect();
    await client.query('BEGIN');
    await client.query('UPDATE x');
    await assert.rejects(client.query('COMMIT'), unknown);
    assert.deepEqual(log, ['ran']);
    // What tools send after a failed COMMIT.
    assert.equal((await client.query('ROLLBACK')).command, 'ROLLBACK');
    client.release();
  });

  test('a conflict at COMMIT is the caller’s, but that of a single statement is run again', async () => {
    const log: string[] = [];
    const pool = poolOn(ownHost(false, performing(log, [conflict, undefined])));
    const client = await pool.connect();
    await client.query('BEGIN');
    await client.query('UPDATE x');
    await assert.rejects(client.query('COMMIT'), { code: '40001', cause: conflict });
    assert.deepEqual(log, ['ran']);
    client.release();
    assert.equal((await pool.query('UPDATE x')).rowCount, 1);
    assert.deepEqual(log, ['ran', 'ran', 'ran']);
  });

  test('a block without a statement asks nothing of the database', async () => {
    const log: string[] = [];
    const client = await poolOn(ownHost(false, performing(log, []))).connect();
    for (const text of ['BEGIN', 'COMMIT', 'BEGIN', 'ROLLBACK']) await client.query(text);
    client.release();
    assert.deepEqual(log, []);
  });
});
