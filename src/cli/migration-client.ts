/** Asks the running supervisor to migrate, and hands on what it tells as it goes. */
import type { MigrationMessage, MigrationRequest } from '../control/migration.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { ControlFile } from '../platform-api.ts';

/** A line longer than this is not one of ours. */
const LINE_MAX = 4 * 1024 * 1024;

/**
 * Resolves when the last message has come. Throws ERR_NOT_RUNNING when nothing answers,
 * ERR_MIGRATION_RUNNING when another command is at it, ERR_CONTROL_UNAVAILABLE when the answer breaks
 * off, and ERR_ABORTED when the caller's signal struck: the supervisor stops behind the present range.
 */
export async function requestMigration(
  control: ControlFile,
  request: MigrationRequest,
  on: { readonly message: (message: MigrationMessage) => void; readonly signal: AbortSignal },
): Promise<void> {
  let response: Response;
  try {
    response = await fetch(new URL('/v1/migrate', control.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${control.token}` },
      body: JSON.stringify(request),
      signal: on.signal,
    });
  } catch (cause) {
    if (on.signal.aborted) throw interrupted(cause);
    throw new MeridianError('ERR_NOT_RUNNING', 'the platform is not running', { cause });
  }
  if (!response.ok) throw await refusal(response);
  try {
    let rest = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_MAX) break;
      for (const line of lines) {
        const message = JSON.parse(line) as MigrationMessage;
        on.message(message);
        if (message.kind === 'done' || message.kind === 'failed') return;
      }
    }
  } catch (cause) {
    if (on.signal.aborted) throw interrupted(cause);
    throw brokenOff(cause);
  }
  throw brokenOff();
}

async function refusal(response: Response): Promise<MeridianError> {
  const text = await response.text();
  const told =
    /"code":"(ERR_MIGRATION_RUNNING|ERR_MIGRATION_INVALID)","message":("(?:[^"\\]|\\.)*")/;
  const found = told.exec(text);
  if (found !== null) {
    const code = found[1] as 'ERR_MIGRATION_RUNNING' | 'ERR_MIGRATION_INVALID';
    return new MeridianError(code, JSON.parse(found[2] ?? '""') as string);
  }
  if (response.status === 401) {
    return new MeridianError(
      'ERR_NOT_RUNNING',
      'another program, or another installation, answers at the recorded address',
    );
  }
  return new MeridianError(
    'ERR_CONTROL_UNAVAILABLE',
    `the supervisor answered with status ${String(response.status)}`,
  );
}

function interrupted(cause: unknown): MeridianError {
  return new MeridianError('ERR_ABORTED', 'interrupted: the range in work is finished or undone', {
    cause,
    remedy: 'Run it again: it goes on where it stopped.',
  });
}

function brokenOff(cause?: unknown): MeridianError {
  return new MeridianError('ERR_CONTROL_UNAVAILABLE', 'the supervisor ended while it migrated', {
    cause,
    remedy: 'Start the platform: it goes on where it stopped.',
  });
}
