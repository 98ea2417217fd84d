/** What an answer says about an operation: only a clear "nothing happened" is a failure. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MeridianError } from '../../src/kernel/errors.ts';
import type { Action } from '../../src/verify/history.ts';
import { failureOf, isRead, lostAnswer, refusedAnswer, Refused } from '../../src/verify/outcome.ts';
import { Recorder } from '../../src/verify/recorder.ts';
import { systemClock } from '../../src/kernel/clock.ts';

describe('outcomes', () => {
  test('of the library', () => {
    const unknown = new MeridianError('ERR_ENGINE_COMMIT_UNKNOWN', 'lost', { outcome: 'unknown' });
    assert.deepEqual(failureOf(unknown), { outcome: 'unknown', code: 'ERR_ENGINE_COMMIT_UNKNOWN' });
    const none = new MeridianError('ERR_ENGINE_NO_NODE', 'closed');
    assert.deepEqual(failureOf(none), { outcome: 'failed', code: 'ERR_ENGINE_NO_NODE' });
    assert.deepEqual(failureOf(new Refused('poor')), { outcome: 'failed', code: 'REFUSED' });
    assert.deepEqual(failureOf(new TypeError('bug')), { outcome: 'unknown', code: 'UNEXPECTED' });
  });

  test('of answers over HTTP', () => {
    const of = (outcome: unknown) => ({ error: { code: 'ERR_X', outcome } });
    assert.deepEqual(refusedAnswer(503, of('none')), { outcome: 'failed', code: 'ERR_X' });
    assert.deepEqual(refusedAnswer(503, of('unknown')), { outcome: 'unknown', code: 'ERR_X' });
    assert.deepEqual(refusedAnswer(503, of(undefined)), { outcome: 'unknown', code: 'ERR_X' });
    assert.deepEqual(refusedAnswer(502, undefined), { outcome: 'unknown', code: 'HTTP_502' });
    assert.deepEqual(refusedAnswer(409, { refused: 'poor' }), {
      outcome: 'failed',
      code: 'REFUSED',
    });
    assert.equal(refusedAnswer(500, { refused: 'poor' }).outcome, 'unknown');
  });

  test('of answers that never came', () => {
    const refused = Object.assign(new Error('no'), { code: 'ECONNREFUSED' });
    assert.deepEqual(lostAnswer(refused), { outcome: 'failed', code: 'ECONNREFUSED' });
    const reset = Object.assign(new Error('no'), { code: 'ECONNRESET' });
    assert.deepEqual(lostAnswer(reset), { outcome: 'unknown', code: 'ECONNRESET' });
    assert.deepEqual(lostAnswer(new Error('no')), { outcome: 'unknown', code: 'NETWORK' });
  });

  test('an unanswered read has not happened, an unanswered write may have', async () => {
    const recorder = new Recorder(systemClock);
    const who = { client: 'c', door: { via: 'library', region: 'eu' } } as const;
    const lost = async () => ({ answer: { outcome: 'unknown', code: 'NETWORK' } as const });
    const read: Action = { kind: 'register-read', register: 'r', asked: { kind: 'strong' } };
    const balances: Action = { kind: 'balances', group: 'g', balances: { a: 0 } };
    assert.equal((await recorder.run(who, read, lost)).outcome, 'failed');
    const unread = await recorder.run(who, balances, lost);
    assert.equal(unread.outcome, 'failed');
    assert.deepEqual(unread.action, { kind: 'balances', group: 'g' });
    const write: Action = { kind: 'register-write', register: 'r', value: 1 };
    assert.equal((await recorder.run(who, write, lost)).outcome, 'unknown');
    const mixed: Action = {
      kind: 'list',
      steps: [
        { kind: 'read', key: 'a#0' },
        { kind: 'append', key: 'a#0', value: 1 },
      ],
    };
    assert.equal(isRead(mixed), false);
    assert.deepEqual(
      recorder.operations().map(({ index }) => index),
      [0, 1, 2],
    );
  });
});
