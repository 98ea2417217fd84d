/** What operators ask of the platform's processes: a rolling restart, or another configuration. */
import { MeridianError } from '../../kernel/errors.ts';
import { readBody, sendJson } from '../control-request.ts';
import {
  parseRestart,
  type RestartEvent,
  type RestartOptions,
  type RestartRequest,
} from '../restart.ts';
import { streamEvents } from './event-stream.ts';
import type { Routes } from './route.ts';

export type Restart = (request: RestartRequest, options: RestartOptions) => Promise<unknown>;

/** Resolves when the change has been accepted: it begins a moment later. */
export type ReloadFrom = (configFile: string) => Promise<void>;

const PATH_LENGTH_MAX = 4_096;

export function processRoutes(restart: Restart, reload: ReloadFrom | undefined): Routes {
  return {
    'POST /v1/reload': async ({ request, response }) => {
      if (reload === undefined) {
        throw new MeridianError(
          'ERR_OPERATION_REFUSED',
          'whoever has started this platform has to start it again: it was not `meridian up`',
        );
      }
      await reload(parseReload(await readBody(request)));
      sendJson(response, 202, { accepted: true });
    },
    'POST /v1/restart': async ({ request, response }) => {
      const asked = parseRestart(await readBody(request));
      await streamEvents<RestartEvent>(response, (how) => restart(asked, how));
    },
  };
}

function parseReload(body: string): string {
  let file: unknown;
  try {
    ({ configFile: file } = (JSON.parse(body) ?? {}) as { readonly configFile?: unknown });
  } catch {
    // Refused below.
  }
  if (typeof file === 'string' && file !== '' && file.length <= PATH_LENGTH_MAX) return file;
  throw new MeridianError('ERR_CONTROL_REQUEST', 'a reload names the configuration file');
}
