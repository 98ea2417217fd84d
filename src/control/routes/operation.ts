/** What operators ask of replication groups, ranges and accounts. */
import { readBody } from '../control-request.ts';
import {
  parseOperation,
  type OperationEvent,
  type OperationOptions,
  type OperationRequest,
} from '../operation.ts';
import { streamEvents } from './event-stream.ts';
import type { Routes } from './route.ts';

/** Names of as many accounts as one operation may be about. */
const BODY_MAX_BYTES = 4 * 1024 * 1024;

export type Operate = (request: OperationRequest, options: OperationOptions) => Promise<unknown>;

/** Without `operate` there is nothing to operate, and no such route. */
export function operationRoutes(operate: Operate | undefined): Routes {
  if (operate === undefined) return {};
  return {
    'POST /v1/operation': async ({ request, response }) => {
      const asked = parseOperation(await readBody(request, BODY_MAX_BYTES));
      await streamEvents<OperationEvent>(response, (how) => operate(asked, how));
    },
  };
}
