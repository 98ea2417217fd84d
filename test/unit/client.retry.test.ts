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
    conflicts?: number;
    replica?: 'leader' | 'follower';
    outcome?: Outcome;
    keyed?: boolean;
    unresolved?: boolean;
    redirects?: number;
    departed?: boolean;
  } = {},
): Verdict {
  const { conflicts = 0, replica, outcome = 'none' } = facts;
  const { keyed = false, unresolved = false, redirects = 0, departed = false } = facts;
  const details = departed ? { departed: { account: 'anna', into: 's0001' } } : {};
  const error = new MeridianError(code, 'it failed', { outcome, details });
  return judge({ error, conflicts, retriesMax: 3, redirects, replica, keyed, unresolved });
}

const PLACES = [undefined, 'leader', 'follower'] as const;
const FINAL = { kind: 'give-up', why: 'final' };
const EXHAUSTED = { kind: 'give-up', why: 'exhausted' };

/** What a read of any replica is told about its place, where it has one. */
function at(replica: (typeof PLACES)[number]): { replica?: 'leader' | 'follower' } {
  return replica === undefined ? {} : { replica };
}

describe('after a failed attempt', () => {
  test('an unknown outcome is never run again, whatever its code and wherever it was', () => {
    for (const code of CODES) {
      for (const replica of PLACES) {
        assert.deepEqual(verdict(code, { outcome: 'unknown', ...at(replica) }), FINAL);
      }
    }
  });

  test('with a key an unknown outcome is asked about again, until the deadline', () => {
    for (const code of CODES) {
      const unknown = verdict(code, { outcome: 'unknown', keyed: true, conflicts: 99 });
      assert.deepEqual(unknown, { kind: 'await-route' });
    }
    const facts = { keyed: true, conflicts: 99 };
    assert.deepEqual(verdict('ERR_ENGINE_SERIALIZATION', facts), EXHAUSTED);
    const unresolved = { ...facts, unresolved: true };
    assert.equal(verdict('ERR_ENGINE_SERIALIZATION', unresolved).kind, 'again');
  });

  test('only these codes are run again at a leader; every other gives up', () => {
    const again: Partial<Record<ErrorCode, string>> = {
      ERR_ENGINE_SERIALIZATION: 'again',
      ERR_ENGINE_OVERLOADED: 'again',
      ERR_ENGINE_UNAVAILABLE: 'await-route',
      ERR_ENGINE_STALE_ROUTE: 'await-route',
      ERR_ENGINE_NO_NODE: 'await-route',
    };
    for (const code of CODES) assert.equal(verdict(code).kind, again[code] ?? 'give-up', code);
  });

  test("a code whose advice is 'never' or 'operator' is not run again", () => {
    for (const code of CODES) {
      if (['now', 'backoff'].includes(ERROR_CODES[code].retry)) continue;
      for (const replica of PLACES) assert.deepEqual(verdict(code, at(replica)), FINAL, code);
    }
  });

  test('conflicts are bounded by their number, the loss of a leader is not', () => {
    for (const code of CODES) {
      const { kind } = verdict(code);
      if (kind === 'again') {
        assert.equal(verdict(code, { conflicts: 2 }).kind, 'again', code);
        assert.deepEqual(verdict(code, { conflicts: 3 }), EXHAUSTED, code);
      } else {
        assert.deepEqual(verdict(code, { conflicts: 99 }), verdict(code), code);
      }
    }
  });

  test('what a follower could not serve goes to the leader, as often as was tried before', () => {
    const facts = { replica: 'follower', conflicts: 9 } as const;
    for (const code of [
      'ERR_ENGINE_TOO_STALE',
      'ERR_ENGINE_UNAVAILABLE',
      'ERR_ENGINE_STALE_ROUTE',
      'ERR_ENGINE_SERIALIZATION',
    ] as const) {
      assert.equal(verdict(code, facts).kind, 'use-leader', code);
    }
    assert.deepEqual(verdict('ERR_ENGINE_STATEMENT', facts), FINAL);
  });

  test('a leader asked as a replica fails like a leader: there is no other to send it to', () => {
    for (const code of CODES) {
      if (code === 'ERR_ENGINE_TOO_STALE') continue;
      assert.deepEqual(verdict(code, { replica: 'leader' }), verdict(code), code);
    }
    assert.equal(verdict('ERR_ENGINE_TOO_STALE', { replica: 'leader' }).kind, 'use-leader');
  });

  test('the first conflict is tried again at once, later ones after a wait', () => {
    const first = { kind: 'again', wait: 'none' };
    assert.deepEqual(verdict('ERR_ENGINE_SERIALIZATION'), first);
    assert.deepEqual(verdict('ERR_ENGINE_SERIALIZATION', { conflicts: 1 }), {
      ...first,
      wait: 'backoff',
    });
    assert.deepEqual(verdict('ERR_ENGINE_OVERLOADED'), { ...first, wait: 'backoff' });
  });
});
