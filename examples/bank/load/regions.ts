/** The platform as a client program sees it: a gateway's address and a library client per region. */
import { connect, type MeridianClient } from 'meridian';

export interface PlatformAddress {
  /** Gateway addresses by region, in the order of the configuration. */
  readonly gateways: ReadonlyMap<string, string>;
  readonly controlUrl: string;
  readonly controlToken: string;
}

/** From what `meridian up` gives its traffic program; throws a sentence when something is missing. */
export function platformFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): PlatformAddress {
  const required = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === '') {
      throw new Error(`${name} is not set: let the platform start this program (npm start)`);
    }
    return value;
  };
  const gateways: unknown = JSON.parse(required('MERIDIAN_GATEWAYS'));
  if (typeof gateways !== 'object' || gateways === null || Object.keys(gateways).length === 0) {
    throw new Error('MERIDIAN_GATEWAYS must be a JSON object from region to address');
  }
  return {
    gateways: new Map(Object.entries(gateways).map(([region, url]) => [region, String(url)])),
    controlUrl: required('MERIDIAN_CONTROL_URL'),
    controlToken: required('MERIDIAN_CONTROL_TOKEN'),
  };
}

/** One library client in each region; close them with `closeRegions`. */
export async function connectRegions(
  platform: PlatformAddress,
  program: string,
): Promise<ReadonlyMap<string, MeridianClient>> {
  const { controlUrl, controlToken } = platform;
  const clients = new Map<string, MeridianClient>();
  try {
    for (const region of platform.gateways.keys()) {
      const process = `${program}.${region}`;
      clients.set(region, await connect({ controlUrl, controlToken, region, process }));
    }
  } catch (error) {
    await closeRegions(clients);
    throw error;
  }
  return clients;
}

export async function closeRegions(clients: ReadonlyMap<string, MeridianClient>): Promise<void> {
  await Promise.all([...clients.values()].map((client) => client.close()));
}
