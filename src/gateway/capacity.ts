/** Is there room for one more? Cheap refusals, before anything of a request is looked at. */
import { MeridianError } from '../kernel/errors.ts';
import type { RegionName } from '../topology/region.ts';
import type { GatewayCounters } from './counters.ts';
import type { GatewayOptions } from './options.ts';
import type { Phases } from './phases.ts';
import type { Tunnels } from './tunnels.ts';

export interface Capacity {
  readonly region: RegionName;
  readonly options: Pick<GatewayOptions, 'concurrencyMax' | 'websocketsMax'>;
  readonly counters: Pick<GatewayCounters, 'inFlight'>;
  readonly tunnels: Tunnels;
  readonly phases: Pick<Phases, 'stopping'>;
}

/** Throws ERR_GATEWAY_DRAINING or ERR_GATEWAY_OVERLOADED. The request in question counts already. */
export function checkCapacity({ region, options, counters, phases }: Capacity): void {
  if (phases.stopping) {
    throw new MeridianError('ERR_GATEWAY_DRAINING', `the gateway of ${region} is stopping`);
  }
  if (counters.inFlight > options.concurrencyMax) {
    throw new MeridianError(
      'ERR_GATEWAY_OVERLOADED',
      `the gateway of ${region} has ${String(options.concurrencyMax)} requests in flight`,
    );
  }
}

/** A place for a WebSocket; call the result when the handshake is over. Throws ERR_GATEWAY_OVERLOADED. */
export function reserveWebsocket({ region, options, tunnels }: Capacity): () => void {
  const release = tunnels.reserve();
  if (release !== undefined) return release;
  throw new MeridianError(
    'ERR_GATEWAY_OVERLOADED',
    `the gateway of ${region} has ${String(options.websocketsMax)} WebSockets open`,
    { remedy: 'Try again later, or raise gateway.websocketsMax.' },
  );
}
