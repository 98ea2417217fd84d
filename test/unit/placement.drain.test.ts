/** Where accounts of a region go that is left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { homeAfter } from '../../src/placement/drain.ts';

const [US, EU, AP] = [0, 1, 2];
const distances = [
  [0, 80, 200],
  [80, 0, 140],
  [200, 140, 0],
];
const leaving = { from: EU, allowed: new Set([US, AP]), distances };

describe('an account of a region that is left', () => {
  test('goes where it is nearest to its clients', () => {
    assert.equal(homeAfter(leaving, [1, 0, 9]), AP);
    assert.equal(homeAfter(leaving, [5, 0, 4]), US);
  });

  test('goes to the nearest to where it was, if nobody has used it, or nobody counts', () => {
    assert.equal(homeAfter(leaving, [0, 0, 0]), US);
    assert.equal(homeAfter(leaving, undefined), US);
    assert.equal(homeAfter({ ...leaving, from: AP, allowed: new Set([US, EU]) }, undefined), EU);
  });

  test('goes to one that takes accounts, whatever is near; where there is none it stays', () => {
    assert.equal(homeAfter({ ...leaving, allowed: new Set([AP]) }, [9, 0, 0]), AP);
    assert.equal(homeAfter({ ...leaving, allowed: new Set([EU]) }, [0, 9, 0]), undefined);
  });
});
