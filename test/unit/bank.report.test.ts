/** The driver's figures: what is counted where, what the summary says, and when a run has failed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerOf } from '../../examples/bank/load/client.ts';
import type { Comparison } from '../../examples/bank/load/ledger.ts';
import { defaultRate, parseDriveOptions } from '../../examples/bank/load/options.ts';
import { appliedOf } from '../../examples/bank/load/perform.ts';
import { exitCodeOf, formatSummary, summarize } from '../../examples/bank/load/report.ts';
import { Tally, type Outcome } from '../../examples/bank/load/tally.ts';

const RUN = { seed: 1, seconds: 10, warmUpSeconds: 1, rate: 100 };
const BALANCED: Comparison = { accounts: 2, mismatches: [], unknownApplied: 0, unknownAbsent: 0 };

const outcome = (latencyMs: number, result: Outcome['result'], measured = true): Outcome => ({
  region: 'eu-west',
  class: 'local write',
  latencyMs,
  measured,
  result,
});
const done = { kind: 'done', attempts: 1 } as const;

function cleanTally(): Tally {
  const tally = new Tally(['us-east', 'eu-west']);
  for (let ms = 1; ms <= 500; ms += 1) tally.add(outcome(ms, done));
  return tally;
}

describe('bank report', () => {
  test('latencies are of measured answers; refusals, errors and warm-up have none', () => {
    const tally = cleanTally();
    tally.add(outcome(9_999, done, false));
    tally.add(outcome(9_999, { kind: 'refused' }));
    tally.add(outcome(7, { kind: 'done', attempts: 3 }));
    const summary = summarize(RUN, tally, BALANCED);
    const part = summary.classes.find((c) => c.region === 'eu-west' && c.class === 'local write');
    assert.deepEqual(
      [part?.samples, part?.perSecond, part?.p50, part?.p99, part?.enough],
      [501, 50.1, 250, 495, true],
    );
    assert.deepEqual([summary.requests, summary.refused, summary.retries], [503, 1, 2]);
    assert.equal(summary.classes.length, 8);
    assert.equal(summary.classes[0]?.enough, false);
    assert.equal(summary.classes[0]?.p50, null);
    assert.equal(exitCodeOf(summary), 0);
  });

  test('an error, an imbalance or a stale read of own writes ends with 1', () => {
    const failing = cleanTally();
    failing.add(outcome(1, { kind: 'failed', code: 'HTTP_503' }));
    const failed = summarize(RUN, failing, BALANCED);
    assert.deepEqual(failed.errorsByCode, { HTTP_503: 1 });
    assert.equal(exitCodeOf(failed), 1);

    const mismatches = Array.from({ length: 12 }, (_, n) => ({
      account: `a${String(n)}`,
      kind: 'lost' as const,
      detail: 'r1',
    }));
    const unbalanced = summarize(RUN, cleanTally(), { ...BALANCED, mismatches });
    assert.equal(unbalanced.balanced, false);
    assert.deepEqual([unbalanced.mismatches.length, unbalanced.mismatchesTotal], [10, 12]);
    assert.equal(exitCodeOf(unbalanced), 1);
    assert.match(formatSummary(unbalanced), /balanced {2}NO[^]*a0: lost: r1[^]*and 2 more/);

    const stale = cleanTally();
    stale.readYourWritesViolations = 1;
    assert.equal(exitCodeOf(summarize(RUN, stale, BALANCED)), 1);
  });

  test("servers' retry counters are added up from where each was first seen", () => {
    const tally = new Tally(['us-east']);
    tally.noteRetries('s1', { ERR_A: 5 });
    tally.noteRetries('s2', {});
    tally.noteRetries('s1', { ERR_A: 7 });
    tally.noteRetries('s1', { ERR_A: 6 });
    tally.noteRetries('s2', { ERR_A: 1, ERR_B: 2 });
    assert.deepEqual(Object.fromEntries(tally.retriesByCode), { ERR_A: 3, ERR_B: 2 });
  });

  test('an answer says whether a write happened, did not, or may have', () => {
    assert.equal(answerOf(200, '{"applied":[]}', 't').kind, 'done');
    assert.deepEqual(answerOf(409, '{"refused":"insufficient-funds"}', undefined), {
      kind: 'refused',
      reason: 'insufficient-funds',
    });
    const failed = (status: number, text: string): unknown => {
      const answer = answerOf(status, text, undefined);
      return answer.kind === 'failed' ? [answer.code, answer.outcome] : answer.kind;
    };
    const unsent = '{"error":{"code":"ERR_GATEWAY_DRAINING","outcome":"none"}}';
    assert.deepEqual(failed(503, unsent), ['ERR_GATEWAY_DRAINING', 'none']);
    assert.deepEqual(failed(503, '{"error":{"code":"X"}}'), ['X', 'unknown']);
    assert.deepEqual(failed(502, '<html>'), ['HTTP_502', 'unknown']);
    assert.deepEqual(failed(200, 'cut off {'), ['HTTP_200', 'unknown']);
    assert.deepEqual(
      failed(409, '{"error":{"code":"ERR_ENGINE_SERIALIZATION","outcome":"none"}}'),
      ['ERR_ENGINE_SERIALIZATION', 'none'],
    );
  });

  test('deltas are taken only for the accounts that were asked for', () => {
    const item = { account: 'a', savingsDelta: 1, checkingDelta: -2 };
    assert.deepEqual(appliedOf({ applied: [item] }, ['a']), [item]);
    assert.equal(appliedOf({ applied: [item] }, ['b']), undefined);
    assert.equal(appliedOf({ applied: [item] }, ['a', 'b']), undefined);
    assert.equal(appliedOf({ applied: [{ account: 'a' }] }, ['a']), undefined);
    assert.equal(appliedOf({ applied: [null] }, ['a']), undefined);
    assert.equal(appliedOf({}, ['a']), undefined);
  });

  test('options: times, defaults, and a sentence for what makes no sense', () => {
    const options = parseDriveOptions(['--for', '2m', '--rate', '90', '--json']);
    assert.deepEqual([options?.seconds, options?.rate, options?.json], [120, 90, true]);
    assert.equal(parseDriveOptions([])?.seconds, undefined);
    assert.deepEqual([1, 2, 8, 64].map(defaultRate), [30, 60, 240, 250]);
    assert.equal(parseDriveOptions(['--help']), undefined);
    assert.throws(() => parseDriveOptions(['--for', 'long']), /--for long: expected a time/);
    assert.throws(() => parseDriveOptions(['--rate', '0']), /--rate 0: expected a number from 1/);
    assert.throws(() => parseDriveOptions(['--accounts', '2.5']), /expected a whole number/);
    assert.throws(() => parseDriveOptions(['--speed', '9']), /--speed/);
  });
});
