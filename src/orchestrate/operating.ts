/** Whatever an operator asks for, by whoever does it. */
import type { OperationOptions, OperationRequest } from '../control/operation.ts';
import type { Draining } from './draining.ts';
import type { Operations } from './operate.ts';

export async function operateBy(
  parts: {
    readonly operations: Pick<Operations, 'run'>;
    readonly draining: Pick<Draining, 'drain' | 'restore'>;
  },
  request: OperationRequest,
  how: OperationOptions = {},
): Promise<void> {
  switch (request.kind) {
    case 'drain':
      await parts.draining.drain(request.region, how);
      return;
    case 'restore':
      await parts.draining.restore(request.region, how);
      return;
    default:
      await parts.operations.run(request, how);
  }
}
