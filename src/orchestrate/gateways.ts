/**
 * One gateway per region, each on a socket that outlives its processes (gateway-slot.ts). The first
 * start of each must succeed: a port that is taken is the user's to know at once.
 */
import type { ProcessStatus } from '../control/status.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Region, RegionName } from '../topology/region.ts';
import { GatewaySlot, type GatewaySlotOptions } from './gateway-slot.ts';

export interface GatewaysOptions extends GatewaySlotOptions {
  readonly regions: readonly Region[];
}

export interface Gateways {
  /** Region → "http://127.0.0.1:8081". */
  readonly urls: Readonly<Record<string, string>>;
  status(): readonly ProcessStatus[];
  /** A successor in place of the region's gateway, without a refused connection. */
  restart(region: RegionName): Promise<void>;
  /**
   * Resolves when no gateway uses this app server any more, as a view of at least this version says.
   * A gateway that does not tell what it has seen is waited for `noticeMs`, one that has requests in
   * flight `inFlightMs`; false: the time was over.
   */
  letGoOf(instance: string, version: number, limits: LetGoLimits): Promise<boolean>;
  stop(): Promise<void>;
}

export interface LetGoLimits {
  readonly noticeMs: number;
  readonly inFlightMs: number;
}

const LET_GO_POLL_MS = 10;

export async function startGateways(options: GatewaysOptions): Promise<Gateways> {
  const { clock } = options;
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
    letGoOf: async (instance, version, { noticeMs, inFlightMs }) => {
      const startMs = clock.monotonicMs();
      for (;;) {
        const answers = slots.map((slot) => slot.letGoOf(instance, version));
        if (answers.every((answer) => answer === 'free')) return true;
        const limitMs = answers.includes('busy') ? inFlightMs : noticeMs;
        if (clock.monotonicMs() - startMs >= limitMs) return false;
        await clock.sleep(LET_GO_POLL_MS);
      }
    },
    stop,
  };
}

/** Where this machine reaches a gateway; one that listens at every address is reached on loopback. */
function urlOf(listenAddress: string, port: number): string {
  const everywhere = listenAddress === '0.0.0.0' || listenAddress === '::';
  const host = everywhere ? '127.0.0.1' : listenAddress;
  return `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}
