/** Asks the running supervisor, found by the file it leaves in its data directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventFailure } from '../control/protocol.ts';
import type { StatusReport } from '../control/status.ts';
import { ERROR_CODES } from '../kernel/error-codes.ts';
import { MeridianError, type ErrorCode } from '../kernel/errors.ts';
import type { ControlFile } from '../platform-api.ts';

const REQUEST_TIMEOUT_MS = 5_000;

export function controlFilePath(dataDirectory: string): string {
  return join(dataDirectory, 'run', 'control.json');
}

/** Throws ERR_NOT_RUNNING when there is none: the supervisor removes it when it stops. */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = controlFilePath(dataDirectory);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new MeridianError('ERR_NOT_RUNNING', `${path} belongs to another user`, {
        cause,
        remedy: 'Run this command as the user who started the platform.',
      });
    }
    throw new MeridianError('ERR_NOT_RUNNING', 'the platform is not running', { cause });
  }
  try {
    const file = JSON.parse(text) as Partial<ControlFile>;
    if (
      typeof file.url === 'string' &&
      typeof file.token === 'string' &&
      typeof file.pid === 'number'
    ) {
      return { url: file.url, token: file.token, pid: file.pid };
    }
  } catch {
    // Falls through: a file that was cut short tells as little as a wrong one.
  }
  throw new MeridianError('ERR_NOT_RUNNING', `${path} is not a control file`);
}

/** The supervisor's own words. */
export function said({ error }: Partial<EventFailure>): MeridianError {
  const { code = '', message = 'the supervisor refused it', remedy } = error ?? {};
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'ERR_CONTROL_UNAVAILABLE';
  return new MeridianError(known, message, remedy === undefined ? {} : { remedy });
}

export function strange(): MeridianError {
  return new MeridianError(
    'ERR_NOT_RUNNING',
    'another program, or another installation, answers at the recorded address',
  );
}

export async function fetchStatus(control: ControlFile): Promise<StatusReport> {
  return (await requestControl(control, '/v1/status')) as StatusReport;
}

/**
 * Throws ERR_NOT_RUNNING when nothing answers, ERR_CONTROL_UNAVAILABLE when it answers wrongly, and what
 * the supervisor refuses it with.
 */
export async function requestControl(
  control: ControlFile,
  path: string,
  question?: unknown,
): Promise<unknown> {
  let response: Response;
  let body: unknown;
  try {
    response = await fetch(new URL(path, control.url), {
      headers: { authorization: `Bearer ${control.token}` },
      ...(question === undefined ? {} : { method: 'POST', body: JSON.stringify(question) }),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
    if (response.ok) return await response.json();
    body = await response.json().catch(() => undefined);
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      const message = `the supervisor (process ${String(control.pid)}) did not answer in ${String(REQUEST_TIMEOUT_MS)} ms`;
      throw new MeridianError('ERR_CONTROL_UNAVAILABLE', message, { cause });
    }
    throw new MeridianError('ERR_NOT_RUNNING', 'the platform is not running', { cause });
  }
  if (response.status === 401 || response.status === 403) throw strange();
  const failure = body as Partial<EventFailure> | undefined;
  if (failure?.error !== undefined) throw said(failure);
  throw new MeridianError(
    'ERR_CONTROL_UNAVAILABLE',
    `the supervisor answered with status ${String(response.status)}`,
  );
}
