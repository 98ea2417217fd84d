/**
 * Entry of a gateway process. Everything it needs comes from the environment and the control feed; it
 * tells its parent when it listens or why it cannot, and stops in an orderly way when told to or when
 * its parent is gone.
 */
import { connect } from '../client/connect.ts';
import { startMetricsReporter } from '../control/metrics/reporter.ts';
import { systemClock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import { createLog } from '../kernel/log.ts';
import { systemRandom } from '../kernel/random.ts';
import { startGateway, type Gateway } from './gateway.ts';
import { gatewaySamples } from './metrics.ts';
import { secretVariables, type GatewayOptions } from './options.ts';

/** Told to the parent over the process channel. */
export type GatewayMessage =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'failed'; readonly error: Record<string, unknown> };

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

async function main(): Promise<void> {
  const region = required('MERIDIAN_REGION');
  const zone = required('MERIDIAN_ZONE');
  const client = await connect({ log });
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
      port: Number(process.env['PORT'] ?? 0),
    });
  } catch (error) {
    await client.close();
    throw error;
  }
  const reporter = startMetricsReporter({
    url: required('MERIDIAN_CONTROL_URL'),
    token: required('MERIDIAN_CONTROL_TOKEN'),
    process: required('MERIDIAN_PROCESS'),
    clock: systemClock,
    read: () => gatewaySamples(gateway.counters()),
  });
  let stopping = false;
  const stop = (why: string): void => {
    if (stopping) return;
    stopping = true;
    log.info('gateway stops', { why });
    gateway
      .drain()
      .finally(() => {
        reporter.close();
      })
      .then(() => client.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error('gateway did not stop cleanly', { reason: messageOf(error) });
          process.exit(1);
        },
      );
  };
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
  tell({ kind: 'ready', port: gateway.port });
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
