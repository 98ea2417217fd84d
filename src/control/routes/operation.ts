/** What operators ask of replication groups: switchover, rebuild, recovery. */
import { readBody } from '../control-request.ts';
import {
  parseOperation,
  type OperationEvent,
  type OperationOptions,
  type OperationRequest,
} from '../operation.ts';
import { streamEvents } from './event-stream.ts';
import type { Routes } from './route.ts';

export type Operate = (request: OperationRequest, options: OperationOptions) => Promise<unknown>;

/** Without `operate` there is nothing to operate, and no such route. */
export function operationRoutes(operate: Operate | undefined): Routes {
  if (operate === undefined) return {};
  return {
    'POST /v1/operation': async ({ request, response }) => {
      const asked = parseOperation(await readBody(request));
      await streamEvents<OperationEvent>(response, (how) => operate(asked, how));
    },
  };
}
