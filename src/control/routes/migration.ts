/** Migrations of the running platform, told as they go on. */
import { MeridianError } from '../../kernel/errors.ts';
import { readBody } from '../control-request.ts';
import {
  parseMigrationRequest,
  type MigrationMessage,
  type MigrationRequest,
} from '../migration.ts';
import type { Routes } from './route.ts';

/** Sends messages until the migration has ended; never throws once it has sent one. */
export type Migrate = (
  request: MigrationRequest,
  run: { readonly signal: AbortSignal; readonly send: (message: MigrationMessage) => void },
) => Promise<void>;

export function migrationRoutes(migrate: Migrate | undefined): Routes {
  return {
    'POST /v1/migrate': async ({ request, response }) => {
      const asked = parseMigrationRequest(await readBody(request));
      if (migrate === undefined) {
        throw new MeridianError('ERR_CONTROL_REQUEST', 'this control server migrates nothing');
      }
      const left = new AbortController();
      response.on('close', () => {
        left.abort();
      });
      const send = (message: MigrationMessage): void => {
        if (!response.headersSent) {
          response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        }
        response.write(`${JSON.stringify(message)}\n`);
      };
      await migrate(asked, { signal: left.signal, send });
      response.end();
    },
  };
}
