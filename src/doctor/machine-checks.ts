/** Checks of the machine: what runs here, and how much of it there is. Pure. */
import { isFault, type DeclaredFacts, type Facts } from './facts.ts';
import { failure, formatSize, ok, warning, type Verdict } from './verdict.ts';

const MIB = 1024 * 1024;
/** A gateway or the bank's app server at rest: 65 to 78 MB resident. */
const PROCESS_BYTES = 70 * MIB;
/** Logs, modules, links, the control connection. */
const PROCESS_OPEN_FILES = 256;

/** Numbers of a version, compared one by one. */
function isOlder(version: string, required: string): boolean {
  const [have, need] = [version, required].map((text) => text.split('.').map(Number));
  for (const [index, part] of (need ?? []).entries()) {
    const own = have?.[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

export function nodeVersion({ machine }: Facts): Verdict {
  const found = `Node.js ${machine.nodeVersion}`;
  if (!isOlder(machine.nodeVersion, machine.nodeRequired)) return ok(found);
  return failure(
    `${found}; ${machine.nodeRequired} or newer is needed`,
    `Install Node.js ${machine.nodeRequired} or newer.`,
  );
}

export function system({ machine }: Facts): Verdict {
  const { platform, arch, libc } = machine;
  const found = [platform, arch, ...(libc === undefined ? [] : [libc])].join(' ');
  const known = ['linux', 'darwin'].includes(platform) && ['x64', 'arm64'].includes(arch);
  if (!known) {
    return failure(
      `${found} is not supported`,
      'Use Linux (glibc) or macOS, on x64 or arm64; on Windows, WSL 2.',
    );
  }
  if (platform === 'linux' && libc !== 'glibc') {
    return failure(
      `${found}: the C library is not glibc`,
      'Use a distribution with glibc (Debian rather than Alpine).',
    );
  }
  return ok(found);
}

const EARLIEST_MS = Date.UTC(2025, 0, 1);
const SKEW_MS = 60_000;

export function clock({ machine, declared }: Facts): Verdict {
  const remedy = 'Set the clock, and let a time service (chrony, systemd-timesyncd) keep it.';
  const shown = new Date(machine.nowMs).toISOString();
  if (machine.nowMs < EARLIEST_MS) return warning(`the clock says ${shown}`, remedy);
  const written = isFault(declared) ? undefined : declared.installation.writtenAtMs;
  if (written !== undefined && written > machine.nowMs + SKEW_MS) {
    const at = new Date(written).toISOString();
    return warning(
      `the clock says ${shown}, and the data was written at ${at}: it went back`,
      remedy,
    );
  }
  return ok(shown);
}

/** A gateway holds a connection to its client, and another one to an app server. */
function openFilesNeeded({ config, engine }: DeclaredFacts): number {
  const { connectionsMax, concurrencyMax, websocketsMax } = config.gateway;
  const gateway = connectionsMax + concurrencyMax + websocketsMax + PROCESS_OPEN_FILES;
  return Math.max(gateway, engine?.needs.openFiles ?? 0);
}

export function openFiles({ machine, declared }: Facts): Verdict {
  const limit = machine.openFilesMax;
  if (limit === undefined) return ok('no limit on open files is known');
  const found = `${String(limit)} open files for each process`;
  const raise = (needed: number): string =>
    `Raise the limit to ${String(needed)} (ulimit -n, or LimitNOFILE of a service)`;
  const least = Math.max(
    PROCESS_OPEN_FILES,
    isFault(declared) ? 0 : (declared.engine?.needs.openFiles ?? 0),
  );
  if (limit < least) return failure(found, `${raise(least)}.`);
  const needed = isFault(declared) ? 0 : openFilesNeeded(declared);
  if (limit >= needed) return ok(found);
  return warning(
    `${found}; a gateway at its bounds takes ${String(needed)}`,
    `${raise(needed)}, or lower gateway.connectionsMax.`,
  );
}

export function memory({ machine, declared }: Facts): Verdict {
  const { memoryAvailableBytes: available, memoryTotalBytes: total } = machine;
  const found = `${formatSize(available)} of ${formatSize(total)} available`;
  if (isFault(declared)) return ok(found);
  if (declared.running !== undefined) return ok(`${found}, beside the running platform`);
  const { config, engine } = declared;
  const apps = (config.app?.instancesPerRegion ?? 0) * config.regions.length;
  const others =
    1 + (config.latency.emulated ? 1 : 0) + (config.traffic === undefined ? 0 : 1) + apps;
  const processes = config.regions.length + others;
  const needed = processes * PROCESS_BYTES + (engine?.needs.memoryBytes ?? 0);
  if (available >= needed) return ok(`${found}; about ${formatSize(needed)} needed`);
  const remedy =
    'Close other programs, or lower app.instancesPerRegion, groupsPerRegion or the number of regions.';
  const text = `${found}, and about ${formatSize(needed)} needed`;
  return total < needed ? failure(text, remedy) : warning(text, remedy);
}
