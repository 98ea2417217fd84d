/** Who may lead: somebody who is sure to have everything that was acknowledged, or nobody. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { elect, type Candidate } from '../../src/engines/postgres/arbiter/election.ts';

const voter = (node: string, position?: bigint): Candidate => ({ node, position, excluded: 'no' });

describe('an election', () => {
  test('is won by the more advanced of two fenced voters', () => {
    assert.deepEqual(elect([voter('b', 10n), voter('c', 12n)]), {
      kind: 'elected',
      winner: 'c',
      rest: ['b'],
    });
  });

  test('is won by nobody while one voter cannot be asked, however advanced the other is', () => {
    const election = elect([voter('b', 10n), voter('c')]);
    assert.ok(election.kind === 'not-elected');
    assert.deepEqual(election.missing, ['c']);
  });

  test('does not wait for a voter that was excluded before, and does for one that just was', () => {
    const excluded = (how: 'confirmed' | 'unconfirmed'): Candidate => ({
      ...voter('a'),
      excluded: how,
    });
    assert.equal(elect([excluded('confirmed'), voter('c', 1n)]).kind, 'elected');
    assert.equal(elect([excluded('unconfirmed'), voter('c', 1n)]).kind, 'not-elected');
    assert.equal(elect([excluded('confirmed')]).kind, 'not-elected');
  });

  test('never loses a commit that the leader and one other voter had', () => {
    const commit = fc.record({ at: fc.bigInt(1n, 1_000n), by: fc.constantFrom('b', 'c') });
    fc.assert(
      fc.property(fc.array(commit), fc.boolean(), fc.boolean(), (commits, askB, askC) => {
        // A voter that confirms a position has everything before it: one log.
        const has = (name: string): bigint =>
          commits.reduce((max, { at, by }) => (by === name && at > max ? at : max), 0n);
        const election = elect([
          voter('b', askB ? has('b') : undefined),
          voter('c', askC ? has('c') : undefined),
        ]);
        if (election.kind !== 'elected') return;
        const acknowledged = commits.map(({ at }) => at);
        assert.ok(acknowledged.every((at) => at <= has(election.winner)));
      }),
    );
  });
});
