/**
 * One gateway process per region, restarted with back-off when it ends unasked. The first start of
 * each must succeed: a port that is taken is the user's to know at once.
 */
import { fileURLToPath } from 'node:url';
import type { ProcessStatus } from '../control/status.ts';
import type { GatewayOptions } from '../gateway/options.ts';
import type { Clock } from '../kernel/clock.ts';
import { ERROR_CODES } from '../kernel/error-codes.ts';
import { MeridianError, type ErrorCode } from '../kernel/errors.ts';
import type { Host, HostedProcess } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import { backoffMs } from '../kernel/retry.ts';
import type { Locality, Region } from '../topology/region.ts';
import { join } from 'node:path';

export interface GatewaysOptions {
  readonly host: Host;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly regions: readonly Region[];
  readonly gateway: GatewayOptions;
  readonly controlEnv: (place: Locality, name: string) => Readonly<Record<string, string>>;
  readonly logDirectory: string;
  readonly startTimeoutMs: number;
}

export interface Gateways {
  /** Region → "http://127.0.0.1:8081". */
  readonly urls: Readonly<Record<string, string>>;
  status(): readonly ProcessStatus[];
  stop(): Promise<void>;
}

interface Slot {
  readonly name: string;
  readonly place: Locality;
  port: number;
  process: HostedProcess | undefined;
  state: ProcessStatus['state'];
  restarts: number;
}

const RESTART_BACKOFF = { baseMs: 200, maxMs: 5_000 };
const STOP_SLACK_MS = 500;

export async function startGateways(options: GatewaysOptions): Promise<Gateways> {
  const stopping = new AbortController();
  const slots = options.regions.map((region): Slot => ({
    name: `gateway.${region.name}`,
    place: { region: region.name, zone: region.zones[0] ?? '' },
    port: options.gateway.ports[region.name] ?? 0,
    process: undefined,
    state: 'starting',
    restarts: 0,
  }));
  const launches = slots.map((slot) => launch(options, slot, stopping.signal));
  let running: Promise<unknown> = Promise.allSettled(launches);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await Promise.all(slots.map((slot) => stopSlot(options, slot)));
    // One that was being started meanwhile ends itself.
    await running;
  };
  try {
    await Promise.all(launches);
  } catch (error) {
    await stop();
    throw error;
  }
  running = Promise.all(slots.map((slot) => keepAlive(options, slot, stopping.signal)));
  return {
    urls: Object.fromEntries(
      slots.map((slot) => [slot.place.region, urlOf(options.gateway.listenAddress, slot.port)]),
    ),
    status: () =>
      slots.map((slot) => ({
        name: slot.name,
        ...slot.place,
        pid: slot.process?.exit === undefined ? (slot.process?.pid ?? null) : null,
        port: slot.port,
        state: slot.state,
        restarts: slot.restarts,
      })),
    stop,
  };
}

/** Where this machine reaches a gateway; one that listens at every address is reached on loopback. */
function urlOf(listenAddress: string, port: number): string {
  const everywhere = listenAddress === '0.0.0.0' || listenAddress === '::';
  const host = everywhere ? '127.0.0.1' : listenAddress;
  return `http://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

async function launch(options: GatewaysOptions, slot: Slot, stopping: AbortSignal): Promise<void> {
  slot.state = 'starting';
  const process = await options.host.spawn({
    name: slot.name,
    command: globalThis.process.execPath,
    args: [fileURLToPath(new URL('../gateway/gateway-process.js', import.meta.url))],
    env: { ...options.controlEnv(slot.place, slot.name), PORT: String(slot.port) },
    logFile: join(options.logDirectory, `${slot.name}.log`),
    channel: true,
  });
  slot.process = process;
  if (stopping.aborted) {
    // The stop has not seen it: it was being made.
    process.signal('SIGKILL');
    await process.exited;
    throw new MeridianError('ERR_ABORTED', `stopped while ${slot.name} was starting`);
  }
  slot.port = await readiness(options, slot, process);
  slot.state = 'ready';
}

/** Its port once it listens; its own error when it says one. */
function readiness(options: GatewaysOptions, slot: Slot, process: HostedProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    const cancel = options.clock.schedule(options.startTimeoutMs, () => {
      process.signal('SIGKILL');
      reject(new MeridianError('ERR_START_TIMEOUT', `${slot.name} did not start in time`));
    });
    process.onMessage((message) => {
      const told = message as { kind?: string; port?: number; error?: Record<string, unknown> };
      if (told.kind === 'ready' && typeof told.port === 'number') {
        cancel();
        resolve(told.port);
      } else if (told.kind === 'failed') {
        cancel();
        reject(reported(told.error ?? {}));
      }
    });
    void process.exited.then(() => {
      cancel();
      const log = join(options.logDirectory, `${slot.name}.log`);
      reject(
        new MeridianError('ERR_PROCESS_FAILED', `${slot.name} ended while starting; see ${log}`),
      );
    });
  });
}

function reported(error: Record<string, unknown>): MeridianError {
  const code = String(error['code']);
  const known = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'ERR_PROCESS_FAILED';
  const remedy = typeof error['remedy'] === 'string' ? { remedy: error['remedy'] } : {};
  return new MeridianError(known, String(error['message']), remedy);
}

async function keepAlive(
  options: GatewaysOptions,
  slot: Slot,
  stopping: AbortSignal,
): Promise<void> {
  for (let attempt = 1; !stopping.aborted;) {
    await slot.process?.exited;
    if (stopping.aborted) return;
    slot.state = 'backing-off';
    slot.restarts += 1;
    options.log.warn('a gateway ended unasked; restarting it', { name: slot.name });
    try {
      await options.clock.sleep(backoffMs(attempt, options.random, RESTART_BACKOFF), stopping);
      await launch(options, slot, stopping);
      attempt = 1;
    } catch (error) {
      attempt += 1;
      if (!stopping.aborted) {
        options.log.error('a gateway does not start', { name: slot.name, error: String(error) });
      }
    }
  }
}

async function stopSlot(options: GatewaysOptions, slot: Slot): Promise<void> {
  const { process } = slot;
  if (process === undefined || process.exit !== undefined) return;
  slot.state = 'draining';
  process.signal('SIGTERM');
  const cancel = options.clock.schedule(options.gateway.drainTimeoutMs + STOP_SLACK_MS, () => {
    process.signal('SIGKILL');
  });
  await process.exited;
  cancel();
  slot.state = 'stopped';
}
