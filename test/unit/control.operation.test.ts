/** Requests for operations on replication groups: what is understood, and that nothing else is. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseOperation } from '../../src/control/operation.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';

describe('a request for an operation', () => {
  const understood: readonly object[] = [
    { kind: 'switchover', group: 'us-east-1' },
    { kind: 'switchover', group: 'us-east-1', to: 'us-east-1.b' },
    { kind: 'switchover', group: 'us-east-1', region: 'us-east' },
    { kind: 'switchover', group: 'us-east-1', region: 'us-east', zone: 'b' },
    { kind: 'rebuild', node: 'us-east-1.b' },
    { kind: 'recover', group: 'us-east-1', acceptLoss: false },
    { kind: 'recover', group: 'us-east-1', acceptLoss: true },
    { kind: 'move', range: 'r0004', to: 'eu-west' },
    { kind: 'cancel-move', range: 'r0004' },
  ];
  for (const asked of understood) {
    test(`is ${JSON.stringify(asked)}`, () => {
      const body = JSON.stringify({ ...asked, more: 1 });
      assert.deepEqual(JSON.parse(JSON.stringify(parseOperation(body))), asked);
    });
  }

  const wrong: readonly unknown[] = [
    ...[null, 1, [], {}, { kind: 'move', group: 'g' }, { kind: 'toString' }],
    { kind: 'switchover' },
    { kind: 'switchover', group: '' },
    { kind: 'switchover', group: 'g'.repeat(129) },
    { kind: 'switchover', group: 'g\n' },
    { kind: 'switchover', group: 'g', to: 7 },
    { kind: 'switchover', group: 'g', zone: null },
    { kind: 'switchover', group: 'g', to: 'n', region: 'r' },
    { kind: 'rebuild', node: ['n'] },
    { kind: 'rebuild', group: 'g' },
    { kind: 'recover', group: 'g' },
    { kind: 'recover', group: 'g', acceptLoss: 'yes' },
    { kind: 'move', range: 'r', to: 7 },
    { kind: 'move', range: 'r' },
    { kind: 'move', to: 'g' },
    { kind: 'cancel-move', range: '' },
  ];
  for (const asked of wrong) {
    test(`is not ${JSON.stringify(asked).slice(0, 60)}`, () => {
      assert.throws(() => parseOperation(JSON.stringify(asked)), { code: 'ERR_CONTROL_REQUEST' });
    });
  }

  test('never: anything but a request or a refusal, whatever arrives', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (body) => {
        try {
          parseOperation(body);
        } catch (error) {
          assert.ok(isMeridianError(error, 'ERR_CONTROL_REQUEST'), String(error));
        }
      }),
    );
  });
});
