/** Laws of positions and tokens, as properties. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatToken,
  mergeTokens,
  parseToken,
  reaches,
  TOKEN_LENGTH_MAX,
  type Position,
} from '../../src/topology/position.ts';

/** Plain objects, as ours are: fast-check also makes some without a prototype. */
const plain = { noNullPrototype: true };
const point = fc.record(
  { epoch: fc.integer({ min: 0, max: 5 }), log: fc.bigInt({ min: 0n, max: 5n }) },
  plain,
);
const group = fc.constantFrom('us-1', 'eu-1', 'eu-2', 'ap-1');
const position: fc.Arbitrary<Position> = fc.record(
  { group, epoch: fc.nat(), log: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  plain,
);
const positions = fc.uniqueArray(position, { selector: (item) => item.group });
const token = positions.map(formatToken);
const smallToken = fc
  .uniqueArray(fc.record({ group, epoch: fc.nat(3), log: fc.bigInt({ min: 0n, max: 3n }) }), {
    selector: (item) => item.group,
  })
  .map(formatToken);

const byGroup = (list: readonly Position[]): Position[] =>
  list.toSorted((a, b) => (a.group < b.group ? -1 : 1));
const encode = (body: unknown): string => Buffer.from(JSON.stringify(body)).toString('base64url');

describe('reaches', () => {
  test('is a total order: reflexive, transitive, antisymmetric, total', () => {
    fc.assert(
      fc.property(point, point, point, (a, b, c) => {
        assert.ok(reaches(a, a));
        assert.ok(reaches(a, b) || reaches(b, a));
        if (reaches(a, b) && reaches(b, c)) assert.ok(reaches(a, c));
        if (reaches(a, b) && reaches(b, a)) assert.deepEqual(a, b);
      }),
    );
  });

  test('a later epoch includes every position of an earlier one, and never the reverse', () => {
    fc.assert(
      fc.property(point, point, (a, b) => {
        const later = { ...a, epoch: b.epoch + 1 };
        assert.ok(reaches(later, b));
        assert.ok(!reaches(b, later));
      }),
    );
  });
});

describe('token', () => {
  test('round trip', () => {
    fc.assert(
      fc.property(positions, (list) => {
        assert.deepEqual(parseToken(formatToken(list)), byGroup(list));
      }),
    );
  });

  test('does not depend on the order of positions, and travels in a header or a cookie', () => {
    fc.assert(
      fc.property(positions, (list) => {
        assert.equal(formatToken(list.toReversed()), formatToken(list));
        assert.match(formatToken(list), /^[A-Za-z0-9_-]*$/);
      }),
    );
  });

  test('the empty one has seen nothing', () => {
    assert.deepEqual(parseToken(''), []);
    assert.deepEqual(parseToken(formatToken([])), []);
  });

  test('arbitrary text is refused or understood, never anything else', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => Buffer.from(text).toString('base64url')),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let parsed: Position[];
        try {
          parsed = parseToken(text);
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'ERR_TOKEN_INVALID');
          return;
        }
        assert.deepEqual(parseToken(formatToken(parsed)), byGroup(parsed));
      }),
    );
  });

  test('each damaged field is refused', () => {
    const good = ['eu-1', 3, 'zz'];
    assert.deepEqual(parseToken(encode([good])), [{ group: 'eu-1', epoch: 3, log: 1295n }]);
    const damaged: unknown[] = [
      {},
      null,
      'text',
      [good, good],
      [['eu-1', 3]],
      [[...good, 1]],
      [['', 3, 'zz']],
      [['x'.repeat(64), 3, 'zz']],
      [[1, 3, 'zz']],
      [['eu-1', -1, 'zz']],
      [['eu-1', 1.5, 'zz']],
      [['eu-1', 2 ** 53, 'zz']],
      [['eu-1', '3', 'zz']],
      [['eu-1', 3, '']],
      [['eu-1', 3, 'ZZ']],
      [['eu-1', 3, '-1']],
      [['eu-1', 3, 12]],
      [['eu-1', 3, (2n ** 64n).toString(36)]],
    ];
    for (const body of damaged) {
      assert.throws(
        () => parseToken(encode(body)),
        { code: 'ERR_TOKEN_INVALID' },
        JSON.stringify(body),
      );
    }
    for (const text of [' ', '%%', '!', 'a'.repeat(TOKEN_LENGTH_MAX + 1)]) {
      assert.throws(() => parseToken(text), { code: 'ERR_TOKEN_INVALID' }, text);
    }
  });

  test('the largest log position fits', () => {
    const list = [{ group: 'g', epoch: Number.MAX_SAFE_INTEGER, log: 2n ** 64n - 1n }];
    assert.deepEqual(parseToken(formatToken(list)), list);
  });
});

describe('merging tokens', () => {
  test('is commutative, associative and idempotent', () => {
    fc.assert(
      fc.property(smallToken, smallToken, smallToken, (a, b, c) => {
        assert.equal(mergeTokens(a, b), mergeTokens(b, a));
        assert.equal(mergeTokens(mergeTokens(a, b), c), mergeTokens(a, mergeTokens(b, c)));
        assert.equal(mergeTokens(a, a), a);
        assert.equal(mergeTokens(a), a);
        assert.deepEqual(parseToken(mergeTokens()), []);
      }),
    );
  });

  test('what satisfies the merged one satisfies each, and it holds nothing that none had', () => {
    fc.assert(
      fc.property(smallToken, smallToken, (a, b) => {
        const merged = parseToken(mergeTokens(a, b));
        const parts = [...parseToken(a), ...parseToken(b)];
        for (const part of parts) {
          const found = merged.find((item) => item.group === part.group);
          assert.ok(found !== undefined && reaches(found, part));
        }
        for (const item of merged) {
          assert.ok(parts.some((part) => part.group === item.group && reaches(part, item)));
        }
      }),
    );
  });

  test('does not hide a forged part', () => {
    assert.throws(() => mergeTokens('', 'not a token'), { code: 'ERR_TOKEN_INVALID' });
    fc.assert(
      fc.property(token, (good) => {
        assert.throws(() => mergeTokens(good, encode([['g', -1, '0']])), {
          code: 'ERR_TOKEN_INVALID',
        });
      }),
    );
  });
});
