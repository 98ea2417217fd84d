/** Asks the running supervisor for faults on purpose. Throws as `fetchStatus` does, and what it says. */
import type { ChaosFault, ChaosOptions, ChaosRequest } from '../control/chaos.ts';
import { CHAOS_PATH, HEAL_PATH } from '../control/chaos-routes.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { ControlFile } from '../platform-api.ts';
import { said, strange } from './control-client.ts';

/** Longer than the supervisor waits for the end of what it kills. */
const TIMEOUT_MS = 15_000;

export async function injectFault(
  control: ControlFile,
  request: ChaosRequest,
  options: ChaosOptions,
): Promise<ChaosFault> {
  const body = JSON.stringify({ ...request, ...options });
  const answer = await ask(control, CHAOS_PATH, { method: 'POST', body });
  return (answer as { fault: ChaosFault }).fault;
}

export async function healFaults(control: ControlFile, id?: string): Promise<ChaosFault[]> {
  const answer = await ask(control, HEAL_PATH, { method: 'POST', body: JSON.stringify({ id }) });
  return (answer as { healed: ChaosFault[] }).healed;
}

export async function listFaults(control: ControlFile): Promise<ChaosFault[]> {
  return ((await ask(control, CHAOS_PATH, {})) as { faults: ChaosFault[] }).faults;
}

async function ask(control: ControlFile, path: string, request: RequestInit): Promise<unknown> {
  try {
    const response = await fetch(new URL(path, control.url), {
      ...request,
      headers: { authorization: `Bearer ${control.token}` },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status === 401) throw strange();
    const answer: unknown = await response.json();
    if (!response.ok) throw said(answer as Parameters<typeof said>[0]);
    return answer;
  } catch (cause) {
    if (isMeridianError(cause)) throw cause;
    if ((cause as { cause?: { code?: unknown } }).cause?.code === 'ECONNREFUSED') {
      throw new MeridianError('ERR_NOT_RUNNING', 'the platform is not running', { cause });
    }
    throw new MeridianError('ERR_CONTROL_UNAVAILABLE', messageOf(cause), { cause });
  }
}
