/**
 * Child process: one gateway in front of a given upstream, with no supervisor. Told what to be over the
 * process channel; ends when its parent is gone.
 */
import { resolveGateway } from '../../src/config/resolve-gateway.ts';
import { startGateway, type Gateway } from '../../src/gateway/gateway.ts';
import type { GatewayOptions } from '../../src/gateway/options.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { createLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import { fixedControl, REGION } from './fixed-control.ts';

export interface GatewaySetup {
  readonly upstreamPort: number;
  readonly options: Partial<GatewayOptions>;
}

const defaults = resolveGateway({}, { regions: [], base: '/', dataDirectory: '/' });

async function start(setup: GatewaySetup): Promise<Gateway> {
  return startGateway({
    region: REGION,
    zone: 'a',
    options: {
      ...defaults,
      // The load keeps its connections for a whole round.
      requestsPerConnectionMax: 1_000_000_000,
      ...setup.options,
    },
    control: fixedControl({ host: '127.0.0.1', port: setup.upstreamPort }),
    locator: {
      locate: (account) =>
        Promise.resolve({ account, range: 'r0001', group: `${REGION}-1`, homeRegion: REGION }),
    },
    clock: systemClock,
    random: systemRandom,
    log: createLog({
      clock: systemClock,
      level: 'warn',
      write: (line) => process.stderr.write(line),
      fields: { process: 'gateway' },
    }),
    port: 0,
  });
}

let gateway: Gateway | undefined;
process.on('message', (setup: GatewaySetup) => {
  start(setup).then(
    (started) => {
      gateway = started;
      process.send?.({ port: started.port });
    },
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
process.on('disconnect', () => {
  // An orderly end, so that a CPU profile is written.
  void gateway?.close().then(() => process.exit(0));
});
