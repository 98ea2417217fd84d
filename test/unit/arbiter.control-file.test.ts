/** The head of pg_control, from bytes as pg_control.h lays them out. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONTROL_BYTES, readControl } from '../../src/engines/postgres/arbiter/pg-control.ts';

/** ControlFileData: identifier, versions of layout and catalog, state, (padding,) time, checkpoint. */
function controlFile(head: {
  readonly state: number;
  readonly checkpoint: bigint;
  readonly identifier?: bigint;
}): Buffer {
  const bytes = Buffer.alloc(CONTROL_BYTES, 0xee);
  bytes.writeBigUInt64LE(head.identifier ?? 1n, 0);
  bytes.writeUInt32LE(1800, 8);
  bytes.writeUInt32LE(202506291, 12);
  bytes.writeUInt32LE(head.state, 16);
  bytes.writeBigInt64LE(1_764_000_000n, 24);
  bytes.writeBigUInt64LE(head.checkpoint, 32);
  return bytes;
}

describe('the control file', () => {
  test('of a server that was shut down', () => {
    const identifier = 7_577_000_000_000_000_001n;
    const file = controlFile({ identifier, state: 1, checkpoint: 0x1_0000_0028n });
    assert.deepEqual(readControl(file), {
      ...{ systemIdentifier: identifier, state: 'shut down', checkpoint: 0x1_0000_0028n },
    });
  });

  test('a clean shutdown is told from every other state', () => {
    const states = [0, 1, 2, 3, 4, 5, 6, 7, 4_000_000_000].map(
      (state) => readControl(controlFile({ state, checkpoint: 0n })).state,
    );
    assert.deepEqual(states, [
      ...['starting up', 'shut down', 'shut down in recovery', 'shutting down'],
      ...['in crash recovery', 'in archive recovery', 'in production', 'unknown', 'unknown'],
    ]);
  });

  test('positions beyond what a double can hold are exact', () => {
    const checkpoint = 2n ** 63n + 1n;
    assert.equal(readControl(controlFile({ state: 1, checkpoint })).checkpoint, checkpoint);
  });
});
