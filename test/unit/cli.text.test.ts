/** Durations, tables, failures: what the command line reads and writes. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../src/cli/duration.ts';
import { errorJson, errorText, formatBytes, formatMs, formatTable } from '../../src/cli/output.ts';
import { summaryJson } from '../../src/cli/up-text.ts';
import { isMeridianError, MeridianError } from '../../src/kernel/errors.ts';

describe('durations', () => {
  test('are a number and a unit', () => {
    const read = ['500ms', '30s', '5m', '1h', '1.5s', ' 2s '].map(parseDuration);
    assert.deepEqual(read, [500, 30_000, 300_000, 3_600_000, 1_500, 2_000]);
  });

  for (const text of ['', '30', 's', '-1s', '0s', '1d', '1e3s', '481h', '1s2s', '٣s']) {
    test(`are not ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseDuration(text),
        (error: unknown) => isMeridianError(error, 'ERR_USAGE') && /30s, 5m/.test(error.message),
      );
    });
  }

  test('are shown short', () => {
    const shown = [850.4, 6_200, 60_000, 90_000].map(formatDuration);
    assert.deepEqual(shown, ['850 ms', '6.2 s', '1 min', '1 min 30 s']);
  });
});

describe('tables', () => {
  test('align their columns, and end no line in spaces', () => {
    const lines = formatTable(
      [
        { name: 'a', size: 5 },
        { name: 'longer', size: 1000 },
      ],
      [
        { title: 'SIZE', align: 'right', text: (item) => String(item.size) },
        { title: 'NAME', text: (item) => item.name },
      ],
    );
    assert.deepEqual(lines, ['SIZE  NAME', '   5  a', '1000  longer']);
  });

  test('show quantities with their unit, and a dash for the unknown', () => {
    const bytes = [0, 1023, 1536, 5 * 1024 ** 3, null].map(formatBytes);
    assert.deepEqual(bytes, ['0 B', '1023 B', '1.5 KiB', '5.0 GiB', '-']);
    assert.deepEqual([0.4, 12.6, null].map(formatMs), ['0 ms', '13 ms', '-']);
    fc.assert(
      fc.property(fc.nat(), (size) => {
        assert.match(formatBytes(size), /^\d+(\.\d)? [KMGT]?i?B$/);
      }),
    );
  });
});

describe('failures', () => {
  const taken = new MeridianError('ERR_PORT_TAKEN', 'port 8081 is taken', { remedy: 'Free it.' });

  test('are one sentence and its remedy', () => {
    assert.equal(errorText(taken), 'port 8081 is taken. Free it.');
    assert.equal(
      errorText(new MeridianError('ERR_USAGE', 'Really?', { remedy: 'No.' })),
      'Really? No.',
    );
    const list = new MeridianError('ERR_CONFIG_INVALID', 'two:\n  - a\n  - b', { remedy: 'Both.' });
    assert.equal(errorText(list), 'two:\n  - a\n  - b\nBoth.');
  });

  test('that came together are told one by one', () => {
    const both = new AggregateError([taken, new AggregateError([taken])], 'stopping');
    assert.equal(errorText(both).split('\n').length, 2);
    const { error, others } = JSON.parse(errorJson(both)) as Record<string, unknown>;
    assert.deepEqual([error, others], [taken.toJSON(), [taken.toJSON()]]);
  });

  test('that nobody foresaw show where they happened, and are a code to machines', () => {
    assert.match(errorText(new TypeError('oops')), /unexpected error: TypeError: oops\n +at /);
    const { error } = JSON.parse(errorJson('thrown text')) as { error: { code: string } };
    assert.equal(error.code, 'ERR_INTERNAL');
  });
});

describe('the summary', () => {
  const platform = { readyMs: 12.6, fresh: false };

  test('is that of the traffic program with the start of the platform', () => {
    assert.deepEqual(JSON.parse(summaryJson(platform, '{"errors":0}')), {
      errors: 0,
      readyMs: 13,
      coldStart: false,
    });
    assert.deepEqual(JSON.parse(summaryJson(platform, undefined)), {
      readyMs: 13,
      coldStart: false,
    });
  });

  for (const line of ['', 'done', '[1]', '3', 'null']) {
    test(`is refused when the program ends with ${JSON.stringify(line)}`, () => {
      assert.throws(
        () => summaryJson(platform, line),
        (error: unknown) => isMeridianError(error, 'ERR_PROCESS_FAILED'),
      );
    });
  }
});
