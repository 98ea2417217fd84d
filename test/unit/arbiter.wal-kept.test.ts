/** What a follower needs next, against the oldest segment that its upstream keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsOlder } from '../../src/engines/postgres/arbiter/wal-kept.ts';

const SEGMENT = 4n * 1024n * 1024n;

test('a follower in a segment that is gone needs an older one', () => {
  // 0/C35B28 with segments of 4 MiB is in segment 3; the upstream was cloned at 0/1000000.
  assert.equal(needsOlder(0xc35b28n, '0000000000000004', SEGMENT), true);
  assert.equal(needsOlder(0xffffffn, '0000000000000004', SEGMENT), true);
});

test('one that stands in the oldest segment, or after it, is served', () => {
  assert.equal(needsOlder(0x1000000n, '0000000000000004', SEGMENT), false);
  assert.equal(needsOlder(0x1000001n, '0000000000000004', SEGMENT), false);
  assert.equal(needsOlder(0x9000000n, '0000000000000004', SEGMENT), false);
});

test('the first half of a name counts too', () => {
  assert.equal(needsOlder(0xffffffffn, '0000000100000000', SEGMENT), true);
  assert.equal(needsOlder(0x1_00000000n, '0000000100000000', SEGMENT), false);
  assert.equal(needsOlder(0x1_00000000n, '0000000100000001', 16n * 1024n * 1024n), true);
});
