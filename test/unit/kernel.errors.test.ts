/** Errors and log lines: what callers branch on, and what leaves the process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assert as assertThat, present, unreachable } from '../../src/kernel/assert.ts';
import { ERROR_CODES } from '../../src/kernel/error-codes.ts';
import { isMeridianError, MeridianError, messageOf } from '../../src/kernel/errors.ts';
import { createLog } from '../../src/kernel/log.ts';

describe('errors', () => {
  test('take advice, status and remedy from the table, and the place of failure may know better', () => {
    const plain = new MeridianError('ERR_ENGINE_SERIALIZATION', 'conflict');
    assert.equal(plain.retry, 'now');
    assert.equal(plain.status, 409);
    assert.equal(plain.outcome, 'none');
    assert.equal(plain.remedy, ERROR_CODES.ERR_ENGINE_SERIALIZATION.remedy);
    assert.equal(plain.cause, undefined);
    assert.equal('cause' in plain, false);
    const precise = new MeridianError('ERR_PORT_TAKEN', 'port 8080', { remedy: 'Stop nginx.' });
    assert.equal(precise.remedy, 'Stop nginx.');
  });

  test('are recognised by brand and code, not by class', () => {
    const error = new MeridianError('ERR_ABORTED', 'stop');
    const fromAnotherCopy = { isMeridianError: true, code: 'ERR_ABORTED' };
    assert.ok(isMeridianError(error) && isMeridianError(error, 'ERR_ABORTED'));
    assert.ok(isMeridianError(fromAnotherCopy, 'ERR_ABORTED'));
    for (const other of [new Error('x'), undefined, null, 'ERR_ABORTED', { code: 'ERR_ABORTED' }]) {
      assert.equal(isMeridianError(other), false);
    }
    assert.equal(isMeridianError(error, 'ERR_INTERNAL'), false);
  });

  test('as JSON carry no cause and no stack', () => {
    const error = new MeridianError('ERR_CONFIG_INVALID', 'regions: expected a list', {
      cause: new Error('secret'),
      details: { path: 'regions' },
    });
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      code: 'ERR_CONFIG_INVALID',
      message: 'regions: expected a list',
      retry: 'operator',
      outcome: 'none',
      remedy: ERROR_CODES.ERR_CONFIG_INVALID.remedy,
      details: { path: 'regions' },
    });
  });

  test('every code is written the same way and says what to do in one sentence', () => {
    for (const [code, { remedy, status }] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^ERR(_[A-Z]+)+$/);
      assert.match(remedy, /^[A-Z`].*\.$/, code);
      assert.ok(status >= 400 && status < 600, code);
    }
  });

  test('advice that safety depends on', () => {
    assert.equal(ERROR_CODES.ERR_ENGINE_COMMIT_UNKNOWN.retry, 'never');
    assert.equal(ERROR_CODES.ERR_INTERNAL.retry, 'never');
    assert.equal(ERROR_CODES.ERR_ENGINE_STALE_ROUTE.retry, 'now');
  });

  test('any thrown value has a message', () => {
    assert.equal(messageOf(new Error('broken')), 'broken');
    assert.equal(messageOf('text'), 'text');
    assert.equal(messageOf(undefined), 'undefined');
  });
});

describe('assertions', () => {
  test('a broken one is a bug of ours', () => {
    assert.throws(
      () => {
        assertThat(false, 'x');
      },
      { code: 'ERR_INTERNAL' },
    );
    assert.throws(() => present(undefined, 'zone'), /zone is missing/);
    assert.throws(() => present(null, 'zone'), { code: 'ERR_INTERNAL' });
    assert.throws(() => unreachable('other' as never), /unexpected other/);
    assertThat(1, 'truthy');
    assert.equal(present(0, 'zero'), 0);
  });
});

describe('log', () => {
  const clock = {
    now: () => 0,
    monotonicMs: () => 0,
    sleep: async () => {},
    schedule: () => () => {},
  };

  test('writes one JSON object a line, with inherited fields, from its level up', () => {
    const lines: string[] = [];
    const log = createLog({ clock, level: 'info', write: (line) => lines.push(line) });
    const part = log.with({ part: 'gateway', region: 'a' });
    part.debug('unseen');
    part.info('ready', { region: 'b', port: 1 });
    part.with({ port: 2 }).error('gone');
    assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
    const time = '1970-01-01T00:00:00.000Z';
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [
        { time, level: 'info', message: 'ready', part: 'gateway', region: 'b', port: 1 },
        { time, level: 'error', message: 'gone', part: 'gateway', region: 'a', port: 2 },
      ],
    );
  });
});
