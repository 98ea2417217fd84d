/** `connect`: joins a running platform, from the environment that the app host gives its processes. */
import { randomUUID } from 'node:crypto';
import { startMetricsReporter } from '../control/metrics/reporter.ts';
import { startTrafficReporter } from '../control/traffic/reporter.ts';
import { TrafficTally } from '../control/traffic/tally.ts';
import { subscribeControl } from '../control/feed-client.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import type { Connector } from '../engines/connector.ts';
import { connectorFor } from '../engines/registry.ts';
import { systemClock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import { silentLog, type Log } from '../kernel/log.ts';
import { systemRandom } from '../kernel/random.ts';
import type { MeridianClient } from './api.ts';
import { Avoided } from './avoided.ts';
import { createClient } from './client.ts';
import { Counters } from './counters.ts';
import type { PhaseObserver } from './cross-group.ts';
import { KeysInFlight } from './keys-in-flight.ts';
import { clientSamples } from './metrics.ts';
import { CLIENT_LIMITS, type ClientLimits } from './options.ts';

export interface ConnectOptions {
  /** Default: MERIDIAN_CONTROL_URL. */
  readonly controlUrl?: string;
  /** Default: MERIDIAN_CONTROL_TOKEN. */
  readonly controlToken?: string;
  /** Where this process is; default: MERIDIAN_REGION. Decides what is near. */
  readonly region?: string;
  /** Default: MERIDIAN_ZONE, else the region's first zone. */
  readonly zone?: string;
  /** Shown in the database and in status; default: MERIDIAN_PROCESS. */
  readonly process?: string;
  readonly log?: Log;
  /** How long to wait for the platform. */
  readonly timeoutMs?: number;
  readonly limits?: Partial<ClientLimits>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Throws ERR_CONTROL_UNAVAILABLE when the platform cannot be reached in time. Once connected, the
 * client goes on working while the control plane is away.
 */
export async function connect(
  options: ConnectOptions = {},
): Promise<MeridianClient & { readonly control: ControlSubscription }> {
  return connectObserved(options, undefined);
}

/** `connect`, with somebody who is told of each step of transactions over several groups. */
export async function connectObserved(
  options: ConnectOptions,
  observe: PhaseObserver | undefined,
): Promise<MeridianClient & { readonly control: ControlSubscription }> {
  const region = setting(options.region, 'MERIDIAN_REGION', 'region');
  const log = options.log ?? silentLog;
  const name = options.process ?? readEnvironment('MERIDIAN_PROCESS') ?? 'client';
  const limits = { ...CLIENT_LIMITS, ...options.limits };
  const controlUrl = setting(options.controlUrl, 'MERIDIAN_CONTROL_URL', 'controlUrl');
  const controlToken = setting(options.controlToken, 'MERIDIAN_CONTROL_TOKEN', 'controlToken');
  const control = await subscribeControl({
    url: controlUrl,
    token: controlToken,
    region,
    zone: options.zone ?? readEnvironment('MERIDIAN_ZONE') ?? '',
    process: name,
    clock: systemClock,
    random: systemRandom,
    log,
    timeoutMs: options.timeoutMs ?? CONNECT_TIMEOUT_MS,
  });
  let connector: Connector;
  try {
    connector = connectorFor(control.hello.engine, {
      clock: systemClock,
      random: systemRandom,
      log,
      credentials: control.hello.database,
      applicationName: name,
      connectionsMax: limits.connectionsPerNodeMax,
      connectTimeoutMs: limits.connectTimeoutMs,
    });
  } catch (error) {
    await control[Symbol.asyncDispose]();
    throw error;
  }
  const counters = new Counters();
  const reporter = startMetricsReporter({
    ...{ url: controlUrl, token: controlToken, process: name, clock: systemClock },
    read: () => clientSamples(counters.snapshot()),
  });
  // Behind a gateway it is the gateway that knows where clients are.
  const tally = readEnvironment('MERIDIAN_INSTANCE') === undefined ? new TrafficTally() : undefined;
  const traffic =
    tally === undefined
      ? undefined
      : startTrafficReporter({
          ...{ url: controlUrl, token: controlToken, region, clock: systemClock, tally },
        });
  return createClient({
    onClose: () => {
      reporter.close();
      traffic?.close();
    },
    services: {
      clock: systemClock,
      random: systemRandom,
      connector,
      control,
      limits,
      counters,
      keysInFlight: new KeysInFlight(),
      avoided: new Avoided(systemClock),
      tally,
    },
    region,
    newId: randomUUID,
    observe,
  });
}

function setting(given: string | undefined, variable: string, option: string): string {
  const value = given ?? readEnvironment(variable);
  if (value !== undefined && value !== '') return value;
  throw new MeridianError(
    'ERR_CONTROL_UNAVAILABLE',
    `connect() was given no ${option} and ${variable} is not set`,
    {
      remedy: `Run the program through the app host (meridian up sets ${variable}), or pass { ${option} }.`,
    },
  );
}

/** The one documented use of the environment in the library: what the app host sets. */
function readEnvironment(name: string): string | undefined {
  // eslint-disable-next-line no-restricted-properties -- see above
  return process.env[name];
}
