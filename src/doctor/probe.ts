/**
 * Gathers the facts. Looks only: ports are tried by listening for an instant, programs are asked for
 * their version, and nothing else is started or written.
 */
import { freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { access, constants, stat, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { loadConfig } from '../config/load.ts';
import type { ResolvedConfig } from '../config/resolved.ts';
import type { EngineDiagnosis } from '../engines/diagnosis.ts';
import { adapterFor } from '../engines/registry.ts';
import { secretVariables } from '../gateway/options.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, messageOf } from '../kernel/errors.ts';
import type { Host } from '../kernel/host.ts';
import { readMigrations } from '../migrations/files.ts';
import { desiredState } from '../orchestrate/desired.ts';
import { inspectInstallation, type InspectedInstallation } from '../orchestrate/inspection.ts';
import type { DeclaredFacts, DiskFacts, Facts, Fault, MachineFacts, PortFacts } from './facts.ts';
import type { RunningFacts } from './facts.ts';
import { isFault } from './facts.ts';
import { findProgram } from './program-lookup.ts';

export interface ProbeServices {
  readonly clock: Clock;
  readonly host: Host;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly nodeRequired: string;
  /** Asks the supervisor that runs the installation; undefined when it does not answer. */
  readonly ask: (config: ResolvedConfig) => Promise<Omit<RunningFacts, 'pid'> | undefined>;
}

const COMMAND_TIMEOUT_MS = 5_000;

/** Never rejects for what it finds: that is facts. */
export async function gatherFacts(
  services: ProbeServices,
  from: { readonly folder: string; readonly file?: string | undefined },
): Promise<Facts> {
  const [machine, config] = await Promise.all([
    machineFacts(services),
    loadConfig(from).catch(asFault),
  ]);
  const declared = isFault(config) ? config : await declaredFacts(services, config);
  return { machine, declared };
}

function asFault(error: unknown): Fault {
  if (isMeridianError(error)) return { message: error.message, remedy: error.remedy };
  return { message: messageOf(error), remedy: 'Correct what the message names.' };
}

async function machineFacts({ clock, host, nodeRequired }: ProbeServices): Promise<MachineFacts> {
  return {
    nodeVersion: process.versions.node,
    nodeRequired,
    platform: process.platform,
    arch: process.arch,
    libc: process.platform === 'linux' ? libc() : undefined,
    openFilesMax: await openFilesMax(host),
    memoryTotalBytes: memoryLimit(totalmem()),
    memoryAvailableBytes: memoryLimit(freemem()),
    nowMs: clock.now(),
  };
}

/** A container may have less than the machine. */
function memoryLimit(bytes: number): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(bytes, limit) : bytes;
}

function libc(): 'glibc' | 'other' {
  // Without the network's part the report is made at once.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { header: Record<string, unknown> };
  report.excludeNetwork = before;
  return header['glibcVersionRuntime'] === undefined ? 'other' : 'glibc';
}

/** Node raises its own limit as far as it may, and its children inherit that: so a child is asked. */
async function openFilesMax(host: Host): Promise<number | undefined> {
  const asked = await host
    .run(
      { name: 'ulimit', command: '/bin/sh', args: ['-c', 'ulimit -n'], env: {} },
      COMMAND_TIMEOUT_MS,
    )
    .catch(() => undefined);
  const limit = Number(asked?.stdout.trim());
  return asked?.code === 0 && Number.isSafeInteger(limit) && limit > 0 ? limit : undefined;
}

async function declaredFacts(
  services: ProbeServices,
  config: ResolvedConfig,
): Promise<DeclaredFacts> {
  const installation = await inspectInstallation(config.dataDirectory);
  const { holder } = installation;
  const told = holder === undefined ? undefined : await services.ask(config);
  const running: RunningFacts | undefined =
    holder === undefined
      ? undefined
      : { pid: holder, ports: told?.ports, lockWarnings: told?.lockWarnings };
  const engine = await diagnose(services, config, installation);
  const path = services.env['PATH'] ?? '';
  const { app, traffic } = config;
  return {
    ...{ config, installation, running, engine },
    disk: await freeSpace(engine?.nodesDirectory ?? config.dataDirectory),
    ports: await portFacts(config),
    app: app && (await findProgram(app, app.env['PATH'] ?? path)),
    traffic: traffic && (await findProgram(traffic, path)),
    migrations: await readMigrations(config.migrationsDirectory).catch(asFault),
    missingKeys: await missingKeys(config, services.env),
  };
}

async function diagnose(
  { host }: ProbeServices,
  config: ResolvedConfig,
  installation: InspectedInstallation,
): Promise<EngineDiagnosis | undefined> {
  // Migrations make no difference to where nodes are.
  const desired = desiredState(config, { database: [], regional: [] });
  return adapterFor(config.engine.adapter).diagnose?.(config.engine.options, {
    ...{ host, desired, directory: config.dataDirectory },
    running: installation.holder !== undefined,
    stored: installation.engine,
  });
}

/** At the folder, or at the nearest one above it that exists. */
async function freeSpace(path: string): Promise<DiskFacts | undefined> {
  try {
    const space = await statfs(path);
    return { path, freeBytes: space.bavail * space.bsize };
  } catch {
    return path === dirname(path) ? undefined : freeSpace(dirname(path));
  }
}

async function portFacts(config: ResolvedConfig): Promise<PortFacts[]> {
  const { listenAddress, ports } = config.gateway;
  const declared = [
    ...Object.entries(ports).map(([region, port]) => ({
      key: `gateway.ports.${region}`,
      address: listenAddress,
      port,
    })),
    { key: 'controlPort', address: '127.0.0.1', port: config.controlPort },
  ].filter(({ port }) => port !== 0);
  const found: PortFacts[] = [];
  for (const one of declared) {
    found.push({ ...one, state: await stateOf(one.address, one.port) });
  }
  return found;
}

function stateOf(address: string, port: number): Promise<PortFacts['state']> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EACCES') resolve('denied');
      else resolve(code === 'EADDRNOTAVAIL' ? 'no-address' : 'taken');
    });
    server.listen({ port, host: address, exclusive: true }, () => {
      server.close(() => {
        resolve('free');
      });
    });
  });
}

async function missingKeys(
  config: ResolvedConfig,
  env: ProbeServices['env'],
): Promise<readonly string[]> {
  const variables = secretVariables(config.gateway)
    .filter((name) => (env[name] ?? '') === '')
    .map((name) => `the environment variable ${name}`);
  const issuers = Object.values(config.gateway.authentication?.issuers ?? {});
  const files = issuers.flatMap(({ keys }) =>
    keys.kind === 'file' || keys.kind === 'secret-file' ? [keys.file] : [],
  );
  const missing = await Promise.all(
    files.map(async (file) => ((await isReadable(file)) ? [] : [`the file ${file}`])),
  );
  return [...variables, ...missing.flat()];
}

async function isReadable(file: string): Promise<boolean> {
  try {
    await access(file, constants.R_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
