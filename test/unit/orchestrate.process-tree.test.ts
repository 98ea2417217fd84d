/** Everything below a process, from a table of parents. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { descendants } from '../../src/orchestrate/drivers/process-tree.ts';

describe('the tree below a process', () => {
  // 10 is a postmaster, 11 and 12 its backends, 13 a program of 12's; 20 is somebody else's.
  const parentOf = new Map([
    [10, 1],
    [11, 10],
    [13, 12],
    [12, 10],
    [20, 1],
    [21, 20],
  ]);

  test('is found at any depth, parents before children, without the root and without strangers', () => {
    assert.deepEqual(descendants(10, parentOf), [11, 12, 13]);
    assert.deepEqual(descendants(12, parentOf), [13]);
    assert.deepEqual(descendants(13, parentOf), []);
    assert.deepEqual(descendants(99, parentOf), []);
  });

  test('laws: a parent comes before its children, and all of them are there once', () => {
    // Parents have lower numbers, so there is no circle.
    const parents = fc.array(fc.nat(), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(parents, (picks) => {
        const table = new Map(picks.map((pick, index) => [index + 1, pick % (index + 1)]));
        const found = descendants(0, table);
        assert.deepEqual(
          [...found].sort((a, b) => a - b),
          [...table.keys()],
        );
        for (const [place, pid] of found.entries()) {
          const parent = table.get(pid) ?? 0;
          assert.ok(parent === 0 || found.indexOf(parent) < place);
        }
      }),
    );
  });
});
