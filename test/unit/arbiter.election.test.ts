/** Who leads next: the one that is sure to have every acknowledged commit, or nobody. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { elect, type Candidate } from '../../src/engines/postgres/arbiter/election.ts';

const of = (
  node: string,
  position: bigint | undefined,
  excluded: Candidate['excluded'] = 'no',
): Candidate => ({ node, position, excluded });

const winnerOf = (others: readonly Candidate[]): string | undefined => {
  const election = elect(others);
  return election.kind === 'elected' ? election.winner : undefined;
};

const candidate = (node: string): fc.Arbitrary<Candidate> =>
  fc.record({
    node: fc.constant(node),
    position: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }),
    excluded: fc.constantFrom('no', 'confirmed', 'unconfirmed'),
  });
const candidates = fc.tuple(candidate('b'), candidate('c'));

describe('election', () => {
  test('the more advanced wins, and the other is named', () => {
    assert.deepEqual(elect([of('b', 7n), of('c', 9n)]), {
      ...{ kind: 'elected', winner: 'c', rest: ['b'] },
    });
  });

  test('positions are compared as they are, beyond what a double can hold', () => {
    const high = 2n ** 63n;
    assert.equal(winnerOf([of('b', high), of('c', high + 1n)]), 'c');
    assert.equal(winnerOf([of('c', high + 1n), of('b', high)]), 'c');
  });

  test('of equals the first that is offered is taken', () => {
    assert.equal(winnerOf([of('c', 5n), of('b', 5n)]), 'c');
    assert.equal(winnerOf([of('b', 5n), of('c', 5n)]), 'b');
  });

  test('nobody is elected while a voter cannot be asked, and it is named', () => {
    const election = elect([of('b', 7n), of('c', undefined)]);
    assert.deepEqual(election, {
      ...{ kind: 'not-elected', missing: ['c'], why: 'c cannot be asked' },
    });
  });

  test('whom an election excluded counts as missing until its barrier is committed', () => {
    // The leader elected in place of b is lost before its barrier: c may lack what b confirmed.
    assert.equal(elect([of('b', undefined, 'unconfirmed'), of('c', 9n)]).kind, 'not-elected');
    assert.equal(elect([of('b', 9n, 'unconfirmed'), of('c', 9n)]).kind, 'not-elected');
  });

  test('whom a barrier excluded is left out, however advanced it says it is', () => {
    assert.equal(winnerOf([of('b', 99n, 'confirmed'), of('c', 9n)]), 'c');
  });

  test('with every other voter excluded there is nobody', () => {
    const election = elect([of('b', 1n, 'confirmed'), of('c', 1n, 'confirmed')]);
    assert.deepEqual(election, {
      ...{ kind: 'not-elected', missing: [], why: 'no other voter is whole' },
    });
  });

  test('whoever is elected is at the end of all that could have confirmed a commit', () => {
    fc.assert(
      fc.property(candidates, (others) => {
        const election = elect(others);
        const counted = others.filter((one) => one.excluded !== 'confirmed');
        const allKnown = counted.every(
          (one) => one.excluded === 'no' && one.position !== undefined,
        );
        assert.equal(election.kind === 'elected', allKnown && counted.length > 0);
        if (election.kind !== 'elected') return;
        const won = counted.find((one) => one.node === election.winner)?.position;
        assert.ok(won !== undefined);
        for (const one of counted) assert.ok((one.position ?? 0n) <= won);
      }),
    );
  });

  // A commit is acknowledged when one of the others has it; each of them has a prefix of one log.
  test('has every acknowledged commit, whatever the order in which voters confirmed', () => {
    const step = fc.record({ who: fc.constantFrom('b', 'c'), upTo: fc.nat(50) });
    const lost = fc.subarray(['b', 'c']);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), lost, (steps, unreachable) => {
        const has = new Map([
          ['b', 0],
          ['c', 0],
        ]);
        let acknowledged = 0;
        for (const { who, upTo } of steps) {
          has.set(who, Math.max(has.get(who) ?? 0, upTo));
          acknowledged = Math.max(acknowledged, has.get(who) ?? 0);
        }
        const election = elect(
          [...has].map(([node, position]) =>
            of(node, unreachable.includes(node) ? undefined : BigInt(position)),
          ),
        );
        if (election.kind === 'not-elected') assert.notEqual(unreachable.length, 0);
        else assert.ok((has.get(election.winner) ?? 0) >= acknowledged);
      }),
    );
  });
});
