/** A driver's errors as ours: the right code, and nothing of the rows. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import pg from 'pg';
import type { ErrorCode } from '../../src/kernel/errors.ts';
import { fromDriver, sqlStateOf } from '../../src/engines/postgres/sqlstate.ts';

function databaseError(code: string, fields: object = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('it failed', 10, 'error'), {
    ...{ code, severity: 'ERROR' },
    ...fields,
  });
}

const EXPECTED: Readonly<Record<string, ErrorCode>> = {
  MR001: 'ERR_ENGINE_STALE_ROUTE',
  MR002: 'ERR_ENGINE_TOO_STALE',
  '40001': 'ERR_ENGINE_SERIALIZATION',
  '40P01': 'ERR_ENGINE_SERIALIZATION',
  '55P03': 'ERR_ENGINE_SERIALIZATION',
  MR003: 'ERR_ENGINE_UNAVAILABLE',
  '40003': 'ERR_ENGINE_COMMIT_UNKNOWN',
  '25006': 'ERR_ENGINE_READ_ONLY',
  '42501': 'ERR_ENGINE_PERMISSION',
  '53300': 'ERR_ENGINE_OVERLOADED',
  '57014': 'ERR_ABORTED',
  '28000': 'ERR_ENGINE_UNAVAILABLE',
  '08006': 'ERR_ENGINE_UNAVAILABLE',
  '57P01': 'ERR_ENGINE_UNAVAILABLE',
  '57P03': 'ERR_ENGINE_UNAVAILABLE',
  '58030': 'ERR_ENGINE_UNAVAILABLE',
  '23505': 'ERR_ENGINE_STATEMENT',
  '42P01': 'ERR_ENGINE_STATEMENT',
  '0A000': 'ERR_ENGINE_STATEMENT',
  '28P01': 'ERR_ENGINE_STATEMENT',
  XX000: 'ERR_ENGINE_STATEMENT',
};

describe("PostgreSQL's errors", () => {
  for (const [state, code] of Object.entries(EXPECTED)) {
    test(`${state} is ${code}`, () => {
      const error = fromDriver(databaseError(state), 'query');
      assert.equal(error.code, code);
      assert.equal(error.details['sqlState'], state);
      assert.equal(sqlStateOf(error.cause), state);
    });
  }

  test('a plan that a migration has overtaken asks for a new connection', () => {
    const overtaken = databaseError('0A000');
    overtaken.message = 'cached plan must not change result type';
    assert.equal(fromDriver(overtaken, 'query').code, 'ERR_ENGINE_UNAVAILABLE');
  });

  test('a time limit and a cancellation have one state and two codes', () => {
    const limited = databaseError('57014');
    limited.message = 'canceling statement due to statement timeout';
    assert.equal(fromDriver(limited, 'query').code, 'ERR_STATEMENT_TIMEOUT');
    const cancelled = databaseError('57014');
    cancelled.message = 'canceling statement due to user request';
    assert.equal(fromDriver(cancelled, 'query').code, 'ERR_ABORTED');
  });

  test('a lock that is not free is a conflict, unless the caller has set a bound', () => {
    const limited = fromDriver(databaseError('55P03'), 'query', { lockTimeout: true });
    assert.equal(limited.code, 'ERR_LOCK_TIMEOUT');
  });

  test('without a state it is the connection', () => {
    for (const error of [new Error('Connection terminated'), 'gone', undefined, null]) {
      assert.equal(fromDriver(error, 'query').code, 'ERR_ENGINE_UNAVAILABLE');
    }
  });

  test("the system's codes are not taken for states, though some look alike", () => {
    for (const code of ['EPIPE', 'ECONNREFUSED', 'EBADF']) {
      const error = Object.assign(new Error(`write ${code}`), {
        code,
        syscall: 'write',
        errno: -1,
      });
      assert.equal(sqlStateOf(error), undefined);
      assert.equal(fromDriver(error, 'query').code, 'ERR_ENGINE_UNAVAILABLE');
    }
  });

  test('row values in DETAIL and CONTEXT do not leak, names of schema objects do', () => {
    const error = fromDriver(
      databaseError('23514', {
        ...{ detail: 'Failing row contains (emil, hunter2).', where: 'hunter2', hint: 'hunter2' },
        ...{ constraint: 'purse_coins_check', table: 'purse', internalQuery: 'hunter2' },
      }),
      'query',
    );
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /hunter2/);
    assert.doesNotMatch(JSON.stringify(error), /hunter2/);
    assert.deepEqual(error.details, {
      ...{ sqlState: '23514', constraint: 'purse_coins_check', table: 'purse' },
    });
  });
});
