/** Asks the supervisor for an operation on a replication group, and shows how it goes on. */
import { loadConfig } from '../config/load.ts';
import type { OperationRequest } from '../control/operation.ts';
import { isMeridianError } from '../kernel/errors.ts';
import { readControlFile } from './control-client.ts';
import { requestOperation } from './event-request.ts';
import { ExitCode, type CliIo } from './io.ts';
import { OperationText } from './operation-text.ts';
import { EXIT_FORCED } from './stop-request.ts';

export interface OperationFlags {
  readonly config?: string;
  readonly json?: true;
}

/** What Ctrl-C does, for the help of each of these commands. */
export const CTRL_C_HELP =
  'Ctrl-C stops watching: the step under way goes on in the supervisor, and no other is begun.';

export async function runOperation(
  io: CliIo,
  flags: OperationFlags,
  request: OperationRequest,
): Promise<void> {
  const { dataDirectory } = await loadConfig({ folder: io.cwd, file: flags.config });
  const control = await readControlFile(dataDirectory);
  const text = new OperationText();
  const stop = new AbortController();
  const unsubscribe = io.onStopSignal(() => {
    stop.abort();
  });
  try {
    await requestOperation(control, request, {
      signal: stop.signal,
      onEvent: (event) => {
        const line = flags.json === true ? JSON.stringify(event) : text.line(event);
        if (line !== undefined) io.stdout.write(`${line}\n`);
      },
    });
  } catch (error) {
    if (!stop.signal.aborted || !isMeridianError(error, 'ERR_ABORTED')) throw error;
    io.stderr.write(
      'meridian: stopped watching; the step under way goes on in the supervisor, no other is begun. ' +
        'See how it ends with `meridian status`.\n',
    );
    throw new ExitCode(EXIT_FORCED);
  } finally {
    unsubscribe();
  }
}
