/** What a verification tells, and when it is clean. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StatusReport } from '../../src/control/status.ts';
import type { Action, Operation } from '../../src/verify/history.ts';
import { countsOf, pausesOf } from '../../src/verify/measure.ts';
import { reasonOf, reportJson, reportText, type VerifyReport } from '../../src/verify/report.ts';
import { isWhole, missing } from '../../src/verify/settle.ts';
import { commandOf } from '../../src/verify/verify.ts';

const report = (over: Partial<VerifyReport> = {}): VerifyReport => ({
  ...{ seed: 7, seconds: 60, layout: 'zone', faults: ['kill'], again: 'meridian verify' },
  moves: { planned: 1, played: 1 },
  failedMoves: [],
  injected: [
    { atMs: 1_500, healedAtMs: 3_000, what: 'kill node a', kind: 'kill', struck: ['g-1'] },
  ],
  ...{ operations: 3, capped: false, workloads: [], pauses: [], unrecovered: [] },
  verdicts: [{ checker: 'rows', violations: [], covered: { rows: 3 } }],
  ...{ uncovered: [], kept: undefined, tookMs: 1 },
  ...over,
});

const how = {
  checkers: [
    {
      name: 'rows',
      claims: 'no row is lost',
      check: () => ({ checker: 'rows', violations: [], covered: {} }),
    },
  ],
  format: (indexes: readonly number[]) => `operations ${indexes.join()}`,
};

const lastLine = (text: string): string => text.trimEnd().split('\n').at(-1) ?? '';

describe('the report', () => {
  test('ends with clean, or with the reason', () => {
    assert.equal(lastLine(reportText(report(), how)), 'clean');
    const lost = {
      checker: 'rows',
      violations: [{ what: 'row 4 is lost', operations: [1, 2] }],
      covered: { rows: 3 },
    };
    const text = reportText(report({ verdicts: [lost] }), how);
    assert.equal(lastLine(text), '1 violation: rows');
    assert.match(text, /BROKEN rows: no row is lost \(3 rows\)\n +row 4 is lost\n +operations 1,2/);
    assert.match(
      lastLine(reportText(report({ unrecovered: ['g-1 has no leader'] }), how)),
      /^did not recover: g-1/,
    );
    assert.match(
      lastLine(reportText(report({ uncovered: ['no leader was struck'] }), how)),
      /^shows nothing: no leader/,
    );
  });

  test('tells what was injected, whom it struck, and for how long', () => {
    assert.match(
      reportText(report(), how),
      /1\.5 s {2}kill node a, leader of g-1, healed after 1\.5 s/,
    );
  });

  test('as one object says whether it is clean, and why not', () => {
    const clean = JSON.parse(reportJson(report())) as { clean: boolean; reason?: string };
    assert.equal(clean.clean, true);
    assert.equal(clean.reason, undefined);
    const dirty = report({ unrecovered: ['x'] });
    assert.equal((JSON.parse(reportJson(dirty)) as { clean: boolean }).clean, false);
    assert.equal(reasonOf(dirty), 'did not recover: x');
  });

  test('names the command that does the same again', () => {
    const again = commandOf({
      ...{ seconds: 5, seed: 3, faults: ['kill', 'stop'], layout: 'region', scale: 0.5 },
      keep: false,
    });
    assert.equal(
      again,
      'meridian verify --seconds 5 --seed 3 --faults kill,stop --layout region --scale 0.5',
    );
  });
});

const operation = (
  action: Action,
  endedAtMs: number,
  over: Partial<Operation> = {},
): Operation => ({
  ...{ index: 0, client: 'c', region: 'eu', via: 'library', outcome: 'ok', startedAtMs: 0 },
  action,
  endedAtMs,
  ...over,
});
const insert: Action = { kind: 'insert', account: 'a', id: '1' };

describe('measures', () => {
  test('count by outcome, and time what was answered', () => {
    const operations = [
      operation(insert, 10),
      operation(insert, 20),
      operation(insert, 9_000, { outcome: 'unknown' }),
      operation({ kind: 'balances', group: 'g' }, 50, { outcome: 'failed' }),
    ];
    assert.deepEqual(countsOf('inserts', ['insert'], operations), {
      ...{ name: 'inserts', ok: 2, failed: 0, unknown: 1, p50Ms: 20, p99Ms: 20, maxMs: 20 },
    });
    assert.equal(countsOf('bank', ['balances'], operations).p50Ms, null);
  });

  test('the longest time without an acknowledged write, ends included', () => {
    const groups = new Map([
      ['a', 'g-1'],
      ['b', 'g-2'],
    ]);
    const load = { fromMs: 0, untilMs: 1_000 };
    const refused: Action = { kind: 'register-swap', register: 'a', expected: 1, value: 2 };
    const operations = [
      operation(insert, 100),
      operation({ ...refused, swapped: false }, 500),
      operation(insert, 700),
    ];
    assert.deepEqual(pausesOf(operations, groups, load), [
      { group: 'g-1', longestMs: 600, fromMs: 100 },
      { group: 'g-2', longestMs: 1_000, fromMs: 0 },
    ]);
  });
});

describe('recovery', () => {
  const status = (over: {
    leader?: string | null;
    state?: 'leader' | 'streaming' | 'down';
    inDoubt?: number;
    moves?: readonly { readonly range: string; readonly to: string }[];
    transfers?: readonly { readonly number: string }[];
  }): StatusReport =>
    ({
      groups: [
        {
          name: 'g-1',
          leader: over.leader === undefined ? 'g-1.a' : over.leader,
          inDoubt: { count: over.inDoubt ?? 0, oldestMs: 0 },
          moves: over.moves ?? [],
        },
      ],
      nodes: [
        { name: 'g-1.a', group: 'g-1', state: 'leader' },
        { name: 'g-1.b', group: 'g-1', state: over.state ?? 'streaming' },
      ],
      gateways: [{ name: 'gateway.eu', state: 'ready' }],
      appServers: [],
      transfers: over.transfers ?? [],
    }) as unknown as StatusReport;

  test('is complete when every group is open, every copy streams, and nothing is in doubt', () => {
    assert.deepEqual(missing(status({})), []);
    assert.match(missing(status({ leader: null })).join(), /g-1 has no leader/);
    assert.match(missing(status({ state: 'down' })).join(), /g-1\.b is down/);
    assert.match(missing(status({ state: 'leader' })).join(), /g-1\.b is leader/);
    assert.match(missing(status({ inDoubt: 2 })).join(), /2 transactions are in doubt in g-1/);
    const moves = [{ range: 'r0001', to: 'g-2' }];
    assert.match(missing(status({ moves })).join(), /r0001 is on its way to g-2/);
    const transfers = [{ number: '3' }];
    assert.match(missing(status({ transfers })).join(), /transfer 3 of accounts has not ended/);
  });

  test('a group may be struck again while something is in doubt', () => {
    assert.equal(isWhole(status({ inDoubt: 1 }), ['g-1']), true);
    assert.equal(isWhole(status({ state: 'down' }), ['g-1']), false);
    assert.equal(isWhole(status({ state: 'down' }), ['g-2']), true);
  });
});
