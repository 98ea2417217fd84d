/** What failures answer: statuses, headers, and nothing that is not meant for clients. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { problemOf } from '../../examples/bank/problems.ts';
import { Refused } from '../../examples/bank/rules.ts';
import { AccountRowsMissing } from '../../examples/bank/transactions.ts';
import { MeridianError } from '../../src/kernel/errors.ts';

describe('bank problems', () => {
  test('a refusal is 409 with its reason', () => {
    assert.deepEqual(problemOf(new Refused('insufficient-funds')), {
      status: 409,
      headers: {},
      body: { refused: 'insufficient-funds' },
    });
  });

  test("a platform error keeps its status, and says 'come back' when that helps", () => {
    const busy = problemOf(
      new MeridianError('ERR_ENGINE_OVERLOADED', 'the pool is full', { retryAfterMs: 2_500 }),
    );
    assert.deepEqual([busy.status, busy.headers], [503, { 'retry-after': '3' }]);
    assert.deepEqual(problemOf(new MeridianError('ERR_ENGINE_NO_NODE', 'no leader')).headers, {
      'retry-after': '1',
    });
    const absent = problemOf(new MeridianError('ERR_ACCOUNT_NOT_FOUND', 'no such account'));
    assert.deepEqual([absent.status, absent.headers], [404, {}]);
  });

  test('a stale route is told to the gateway', () => {
    const stale = problemOf(new MeridianError('ERR_ENGINE_STALE_ROUTE', 'the range has moved'));
    assert.deepEqual([stale.status, stale.headers], [421, { 'meridian-stale-route': '1' }]);
  });

  test('an ambiguous commit says so', () => {
    const unknown = problemOf(
      new MeridianError('ERR_ENGINE_COMMIT_UNKNOWN', 'cut at COMMIT', { outcome: 'unknown' }),
    );
    const { code, outcome } = unknown.body['error'] as { code: string; outcome: string };
    assert.deepEqual(
      [unknown.status, code, outcome],
      [503, 'ERR_ENGINE_COMMIT_UNKNOWN', 'unknown'],
    );
  });

  test('an account without rows is not found; a bad request is told what is wrong', () => {
    assert.equal(problemOf(new AccountRowsMissing('a')).status, 404);
    const invalid = Object.assign(new Error('body/amount must be integer'), { statusCode: 400 });
    assert.deepEqual(problemOf(invalid).body, {
      error: {
        code: 'ERR_REQUEST_INVALID',
        message: 'body/amount must be integer',
        outcome: 'none',
      },
    });
  });

  test('any other fault is 500, its text kept back, its outcome unknown', () => {
    const { status, body } = problemOf(new Error('password is hunter2'));
    assert.equal(status, 500);
    assert.doesNotMatch(JSON.stringify(body), /hunter2/);
    assert.equal((body['error'] as { outcome: string }).outcome, 'unknown');
  });
});
