/** What operators ask of the platform's processes: a rolling restart. */
import { readBody } from '../control-request.ts';
import {
  parseRestart,
  type RestartEvent,
  type RestartOptions,
  type RestartRequest,
} from '../restart.ts';
import { streamEvents } from './event-stream.ts';
import type { Routes } from './route.ts';

export type Restart = (request: RestartRequest, options: RestartOptions) => Promise<unknown>;

export function processRoutes(restart: Restart): Routes {
  return {
    'POST /v1/restart': async ({ request, response }) => {
      const asked = parseRestart(await readBody(request));
      await streamEvents<RestartEvent>(response, (how) => restart(asked, how));
    },
  };
}
