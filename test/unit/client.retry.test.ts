/** What follows a failed attempt: an answer for every code, and never a second commit. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { judge, type Verdict } from '../../src/client/retry-policy.ts';
import { ERROR_CODES } from '../../src/kernel/error-codes.ts';
import { MeridianError, type ErrorCode, type Outcome } from '../../src/kernel/errors.ts';

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

function verdict(
  code: ErrorCode,
  facts: {
    attempt?: number;
    onReplica?: boolean;
    outcome?: Outcome;
    keyed?: boolean;
    unresolved?: boolean;
  } = {},
): Verdict {
  const { attempt = 1, onReplica = false, outcome = 'none' } = facts;
  const { keyed = false, unresolved = false } = facts;
  const error = new MeridianError(code, 'it failed', { outcome });
  return judge({ error, attempt, retriesMax: 3, onReplica, keyed, unresolved });
}

describe('after a failed attempt', () => {
  test('an unknown outcome is never run again, whatever its code and wherever it was', () => {
    for (const code of CODES) {
      for (const onReplica of [true, false]) {
        assert.deepEqual(verdict(code, { outcome: 'unknown', onReplica }), { kind: 'give-up' });
      }
    }
  });

  test('with a key an unknown outcome is asked about again, until the deadline', () => {
    for (const code of CODES) {
      const unknown = verdict(code, { outcome: 'unknown', keyed: true, attempt: 99 });
      assert.deepEqual(unknown, { kind: 'again', wait: 'backoff' });
    }
    const facts = { keyed: true, attempt: 99 };
    assert.equal(verdict('ERR_ENGINE_UNAVAILABLE', facts).kind, 'give-up');
    assert.equal(verdict('ERR_ENGINE_UNAVAILABLE', { ...facts, unresolved: true }).kind, 'again');
    assert.equal(verdict('ERR_ENGINE_NO_NODE', { ...facts, unresolved: true }).kind, 'reroute');
  });

  test('only these codes are run again at a leader; every other gives up', () => {
    const again: Partial<Record<ErrorCode, string>> = {
      ERR_ENGINE_SERIALIZATION: 'again',
      ERR_ENGINE_UNAVAILABLE: 'again',
      ERR_ENGINE_OVERLOADED: 'again',
      ERR_ENGINE_STALE_ROUTE: 'reroute',
      ERR_ENGINE_NO_NODE: 'reroute',
    };
    for (const code of CODES) assert.equal(verdict(code).kind, again[code] ?? 'give-up', code);
  });

  test("a code whose advice is 'never' or 'operator' is not run again", () => {
    for (const code of CODES) {
      if (['now', 'backoff'].includes(ERROR_CODES[code].retry)) continue;
      for (const onReplica of [true, false]) {
        assert.equal(verdict(code, { onReplica }).kind, 'give-up', code);
      }
    }
  });

  test('attempts are bounded', () => {
    for (const code of CODES) {
      assert.equal(verdict(code, { attempt: 4 }).kind, 'give-up', code);
      assert.equal(verdict(code, { attempt: 3 }).kind, verdict(code, { attempt: 1 }).kind, code);
    }
  });

  test('what a replica could not serve goes to the leader, as often as was tried before', () => {
    for (const code of [
      'ERR_ENGINE_TOO_STALE',
      'ERR_ENGINE_UNAVAILABLE',
      'ERR_ENGINE_STALE_ROUTE',
      'ERR_ENGINE_SERIALIZATION',
    ] as const) {
      assert.equal(verdict(code, { onReplica: true, attempt: 9 }).kind, 'use-leader', code);
    }
    assert.equal(verdict('ERR_ENGINE_STATEMENT', { onReplica: true }).kind, 'give-up');
  });

  test('the first conflict is tried again at once, later ones after a wait', () => {
    const first = { kind: 'again', wait: 'none' };
    assert.deepEqual(verdict('ERR_ENGINE_SERIALIZATION'), first);
    assert.deepEqual(verdict('ERR_ENGINE_SERIALIZATION', { attempt: 2 }), {
      ...first,
      wait: 'backoff',
    });
    assert.deepEqual(verdict('ERR_ENGINE_OVERLOADED'), { ...first, wait: 'backoff' });
  });
});
