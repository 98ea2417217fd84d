/**
 * One gateway per region, each on a socket that outlives its processes (gateway-slot.ts). The first
 * start of each must succeed: a port that is taken is the user's to know at once.
 */
import type { ProcessStatus } from '../control/status.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Region, RegionName } from '../topology/region.ts';
import { GatewaySlot, type GatewaySlotOptions } from './gateway-slot.ts';
import type { LetGoAnswer } from './let-go.ts';

export interface GatewaysOptions extends GatewaySlotOptions {
  readonly regions: readonly Region[];
}

export interface Gateways {
  /** Region → "http://127.0.0.1:8081". */
  readonly urls: Readonly<Record<string, string>>;
  status(): readonly ProcessStatus[];
  /** A successor in place of the region's gateway, without a refused connection. */
  restart(region: RegionName): Promise<void>;
  /** What each gateway says of an app server that a view of at least this version takes out. */
  uses(instance: string, version: number): ReadonlyMap<string, LetGoAnswer>;
  stop(): Promise<void>;
}

export async function startGateways(options: GatewaysOptions): Promise<Gateways> {
  const slots = options.regions.map(
    (region) => new GatewaySlot(options, { region: region.name, zone: region.zones[0] ?? '' }),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(slots.map((slot) => slot.stop()));
  };
  try {
    await Promise.all(slots.map((slot) => slot.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    urls: Object.fromEntries(
      slots.map((slot) => [slot.place.region, urlOf(options.gateway.listenAddress, slot.port)]),
    ),
    status: () => slots.map((slot) => slot.status()),
    restart: async (region) => {
      const slot = slots.find((one) => one.place.region === region);
      if (slot === undefined) {
        throw new MeridianError('ERR_CONFIG_INVALID', `no gateway in a region ${region}`);
      }
      await slot.restart();
    },
    uses: (instance, version) =>
      new Map(slots.map((slot) => [slot.name, slot.uses(instance, version)])),
    stop,
  };
}

/** Where this machine reaches a gateway; one that listens at every address is reached on loopback. */
function urlOf(listenAddress: string, port: number): string {
  const everywhere = listenAddress === '0.0.0.0' || listenAddress === '::';
  const host = everywhere ? '127.0.0.1' : listenAddress;
  return `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
