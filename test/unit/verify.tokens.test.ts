/** Positions that go back, and those that only seem to. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatToken, type Token } from '../../src/topology/position.ts';
import { tokens } from '../../src/verify/checkers/tokens.ts';
import type { Verdict } from '../../src/verify/history.ts';
import { historyOf, op, read, saidBy, write, type Sketch } from '../support/histories.ts';

const at = (epoch: number, log: number, group = 'us'): Token =>
  formatToken([{ group, epoch, log: BigInt(log) }]);
const check = (...sketches: Sketch[]): Verdict =>
  tokens.check(historyOf(sketches.map((item) => ({ client: 'me', ...item }))));
const wrote = op([0, 1], write(1), { token: at(1, 20) });
const readWith = (asked: Token, token: Token): Sketch =>
  op([4, 5], read(1, { kind: 'token', token: asked }), { token });

describe('tokens', () => {
  test('go on within an epoch, and from one to the next whatever the numbers', () => {
    assert.deepEqual(check(wrote, readWith(at(1, 20), at(1, 20))).violations, []);
    assert.deepEqual(check(wrote, readWith(at(1, 20), at(2, 3))).violations, []);
    assert.deepEqual(check(wrote, readWith(at(1, 20), at(1, 25))).covered, {
      answers: 2,
      compared: 1,
    });
  });

  test('an answer behind the token that was passed', () => {
    const verdict = check(wrote, readWith(at(1, 20), at(1, 19)));
    assert.deepEqual(saidBy(verdict), ['me was given us 1/13 after it had seen us 1/14']);
    assert.equal(check(readWith(at(2, 3), at(1, 90))).violations.length, 1);
  });

  test('a strong answer behind what its client had been given', () => {
    const strong = op([4, 5], read(1), { token: at(1, 19) });
    assert.deepEqual(check(wrote, strong).violations[0]?.operations, [0, 1]);
    assert.deepEqual(check(wrote, { ...strong, client: 'other' }).violations, []);
    assert.deepEqual(check(op([0, 9], write(1), { token: at(1, 20) }), strong).violations, []);
  });

  test('a bounded answer may be older, and another group is another matter', () => {
    const bounded = read(1, { kind: 'bounded', maxStalenessMs: 5 });
    assert.deepEqual(check(wrote, op([4, 5], bounded, { token: at(1, 3) })).violations, []);
    assert.deepEqual(check(wrote, op([4, 5], read(1), { token: at(1, 3, 'eu') })).violations, []);
  });

  test('where a moved range was closed is no position of who answers', () => {
    const token = formatToken([
      { group: 'us', epoch: 1, log: 7n },
      { group: 'eu', epoch: 1, log: 9n },
    ]);
    const answer = { ...op([4, 5], write(2), { token }), node: 'eu.a' };
    assert.deepEqual(check(wrote, answer).violations, []);
    assert.equal(check(wrote, { ...answer, node: 'us.a' }).violations.length, 1);
  });

  test('what is no token', () => {
    assert.deepEqual(saidBy(check(op([0, 1], write(1), { token: '???' }))), [
      'me was given a token that is none',
    ]);
  });
});
