/**
 * Entry of a gateway process. Everything it needs comes from the environment and the control feed; it
 * tells its parent when it listens or why it cannot, and stops in an orderly way when told to or when
 * its parent is gone.
 */
import { connect } from '../client/connect.ts';
import { startMetricsReporter, type MetricsReporter } from '../control/metrics/reporter.ts';
import { startTrafficReporter } from '../control/traffic/reporter.ts';
import { TrafficTally } from '../control/traffic/tally.ts';
import { systemClock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import { createLog } from '../kernel/log.ts';
import { systemRandom } from '../kernel/random.ts';
import { SOCKET_FROM_PARENT, type GatewayMessage, type GatewayOrder } from './gateway-message.ts';
import { startGateway, type Gateway } from './gateway.ts';
import { gatewaySamples } from './metrics.ts';
import { secretVariables, type GatewayOptions } from './options.ts';
import type { RouteReason } from './route.ts';

const SOCKET_TIMEOUT_MS = 10_000;

/** What an account's home must answer, wherever that is; the rest is answered nearby. */
const FAR: Readonly<Record<RouteReason, boolean>> = {
  'local-read': false,
  'failover-read': false,
  'local-write': true,
  'home-write': true,
  'failover-write': true,
};

const log = createLog({
  clock: systemClock,
  level: 'info',
  write: (line) => process.stderr.write(line),
  fields: { process: process.env['MERIDIAN_PROCESS'] ?? 'gateway' },
});

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new MeridianError('ERR_CONFIG_INVALID', `the environment variable ${name} is not set`, {
      remedy: 'Let `meridian up` start gateways; it sets their environment.',
    });
  }
  return value;
}

/** The platform validated them before it sent them. */
function gatewayOptions(sent: unknown): GatewayOptions {
  if (typeof sent === 'object' && sent !== null) return sent as GatewayOptions;
  throw new MeridianError('ERR_INTERNAL', 'the control feed sent no gateway options');
}

function tell(message: GatewayMessage): void {
  // The parent may be gone: then nobody needs to know.
  if (process.connected) process.send?.(message, () => {});
}

/** The socket that the parent owns. Throws ERR_START_TIMEOUT when it does not come. */
function socketFromParent(): Promise<object> {
  return new Promise((resolve, reject) => {
    const cancel = systemClock.schedule(SOCKET_TIMEOUT_MS, () => {
      reject(new MeridianError('ERR_START_TIMEOUT', 'the supervisor sent no socket to accept on'));
    });
    process.on('message', (order: GatewayOrder, socket: unknown) => {
      if (order.kind !== 'socket' || typeof socket !== 'object' || socket === null) return;
      cancel();
      resolve(socket);
    });
  });
}

async function main(): Promise<void> {
  const region = required('MERIDIAN_REGION');
  const zone = required('MERIDIAN_ZONE');
  const socket =
    process.env[SOCKET_FROM_PARENT] === undefined ? undefined : await socketFromParent();
  const client = await connect({ log });
  const tally = new TrafficTally();
  let gateway: Gateway;
  try {
    const options = gatewayOptions(client.control.hello.gateway);
    gateway = await startGateway({
      region,
      zone,
      name: process.env['MERIDIAN_PROCESS'] ?? `gateway.${region}`,
      options,
      secrets: Object.fromEntries(
        secretVariables(options).map((name) => [name, process.env[name]]),
      ),
      control: client.control,
      locator: client,
      clock: systemClock,
      random: systemRandom,
      log,
      onAccess: (account, why) => {
        if (FAR[why]) tally.count(account);
      },
      port: Number(process.env['PORT'] ?? 0),
      socket,
      onSeen: (version, busy) => {
        tell({ kind: 'seen', version, busy });
      },
    });
  } catch (error) {
    await client.close();
    throw error;
  }
  const reporters = [reportMetrics(gateway), reportTraffic(tally)];
  obey(gateway, async () => {
    for (const reporter of reporters) reporter.close();
    await client.close();
  });
  tell({ kind: 'ready', port: gateway.port });
}

function reportTraffic(tally: TrafficTally): { close(): void } {
  return startTrafficReporter({
    url: required('MERIDIAN_CONTROL_URL'),
    token: required('MERIDIAN_CONTROL_TOKEN'),
    region: required('MERIDIAN_REGION'),
    clock: systemClock,
    tally,
  });
}

function reportMetrics(gateway: Gateway): MetricsReporter {
  return startMetricsReporter({
    url: required('MERIDIAN_CONTROL_URL'),
    token: required('MERIDIAN_CONTROL_TOKEN'),
    process: required('MERIDIAN_PROCESS'),
    clock: systemClock,
    read: () => gatewaySamples(gateway.counters()),
  });
}

/** Ends as the parent orders, or when it is gone; `release` comes last. */
function obey(gateway: Gateway, release: () => Promise<void>): void {
  let ending = false;
  const end = (done: Promise<void>): void => {
    if (ending) return;
    ending = true;
    done.finally(release).then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('gateway did not stop cleanly', { reason: messageOf(error) });
        process.exit(1);
      },
    );
  };
  const stop = (why: string): void => {
    log.info('gateway stops', { why });
    end(gateway.drain());
  };
  process.on('message', (order: GatewayOrder) => {
    if (order.kind !== 'retire') return;
    log.info('gateway hands over to its successor');
    end(gateway.retire());
  });
  process.on('SIGTERM', () => {
    stop('SIGTERM');
  });
  // Ctrl-C reaches the whole terminal group; with a parent, it is the parent who decides the order.
  process.on('SIGINT', () => {
    if (!process.connected) stop('SIGINT');
  });
  process.on('disconnect', () => {
    stop('the supervisor is gone');
  });
}

main().catch((error: unknown) => {
  const reported = isMeridianError(error)
    ? error
    : new MeridianError('ERR_INTERNAL', messageOf(error), { cause: error });
  log.error('gateway could not start', { ...reported.toJSON() });
  if (!process.connected || process.send === undefined) process.exit(1);
  const failed: GatewayMessage = { kind: 'failed', error: reported.toJSON() };
  process.send(failed, () => process.exit(1));
});
