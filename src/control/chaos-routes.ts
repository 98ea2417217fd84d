/** The control server's routes for faults on purpose; whoever comes here has shown the token. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MeridianError } from '../kernel/errors.ts';
import type { ChaosControl } from './chaos.ts';
import { parseChaos, parseHeal } from './chaos-request.ts';
import { readBody, sendJson } from './control-request.ts';

export const CHAOS_PATH = '/v1/chaos';
export const HEAL_PATH = '/v1/chaos/heal';

export async function answerChaos(
  chaos: ChaosControl | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (chaos === undefined) {
    throw new MeridianError('ERR_CONTROL_REQUEST', 'this control server makes no faults');
  }
  const { pathname } = new URL(request.url ?? '/', 'http://control');
  switch (`${request.method ?? ''} ${pathname}`) {
    case `GET ${CHAOS_PATH}`:
      sendJson(response, 200, { faults: chaos.faults() });
      return;
    case `POST ${CHAOS_PATH}`: {
      const asked = parseChaos(await readBody(request));
      sendJson(response, 200, { fault: await chaos.inject(asked.request, asked.options) });
      return;
    }
    case `POST ${HEAL_PATH}`:
      sendJson(response, 200, { healed: await chaos.heal(parseHeal(await readBody(request))) });
      return;
    default:
      throw new MeridianError('ERR_CONTROL_REQUEST', 'the control server has no such route');
  }
}
