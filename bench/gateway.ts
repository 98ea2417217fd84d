/**
 * What the gateway costs beside nginx as a reverse proxy: both in front of the same upstream, taking
 * turns in one run.
 *
 *   npm run bench -- gateway [--rounds 3] [--seconds 4] [--connections 64] [--only name;…] [--profile folder]
 *
 * The upstream is another nginx that answers from memory, so that it is not what limits. The figure
 * that lasts is requests per CPU second of the proxy (user and kernel time of all its processes, from
 * /proc): requests per second also say how many cores were left over. Linux only.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuSeconds } from './gateway/cpu-time.ts';
import type { GatewaySetup } from './gateway/gateway-server.ts';
import type { LoadOrder, LoadResult } from './gateway/load.ts';
import { findNginx, startNginx } from './gateway/nginx-server.ts';
import { variants, type Variant } from './gateway/variants.ts';

const { values: asked } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string' },
    profile: { type: 'string' },
  },
});
const WARM_UP_MS = 1_000;
const ANSWER_BYTES = 1_024;

interface Proxy {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function child(file: string, execArgv: readonly string[] = []): ChildProcess {
  const started = fork(join(import.meta.dirname, 'gateway', file), [], {
    execArgv: [...execArgv],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  return started;
}

async function end(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, 'exit');
  process.disconnect();
  await ended;
}

/** The next message; rejects when the process ends instead. */
async function heard<T>(process: ChildProcess): Promise<T> {
  const ended = once(process, 'exit').then(() => {
    throw new Error('a process of the bench ended early');
  });
  const [message] = (await Promise.race([once(process, 'message'), ended])) as [T];
  return message;
}

async function startProxy(
  variant: Variant,
  at: { readonly program: string; readonly folder: string; readonly upstreamPort: number },
): Promise<Proxy> {
  if (variant.kind === 'nginx') {
    const port = await freePort();
    const log = variant.accessLog ? join(at.folder, 'access.log') : 'off';
    const nginx = await startNginx({
      ...at,
      name: variant.name.replaceAll(/\W+/g, '-'),
      port,
      http:
        `access_log ${log};\n` +
        `upstream app { server 127.0.0.1:${String(at.upstreamPort)}; keepalive 256; keepalive_requests 1000000000; }\n` +
        `server { listen 127.0.0.1:${String(port)}; location / { proxy_pass http://app;\n` +
        `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;\n` +
        `proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;\n` +
        `proxy_set_header X-Forwarded-Host $host; } }`,
    });
    return { port, ...nginx };
  }
  const profiled =
    asked.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${asked.profile}`];
  const server = child('gateway-server.js', profiled);
  const setup: GatewaySetup = { upstreamPort: at.upstreamPort, options: variant.options };
  server.send(setup);
  const { port } = await heard<{ port: number }>(server);
  return { port, pid: server.pid ?? 0, stop: () => end(server) };
}

interface Measured extends LoadResult {
  readonly cpuSeconds: number;
}

async function measure(proxy: Proxy, variant: Variant): Promise<Measured> {
  const load = child('load.js');
  const order: LoadOrder = {
    port: proxy.port,
    connections: Number(asked.connections),
    warmUpMs: WARM_UP_MS,
    measureMs: Number(asked.seconds) * 1_000,
    request: variant.request,
  };
  load.send(order);
  try {
    await heard(load);
    const before = await cpuSeconds(proxy.pid);
    const result = await heard<LoadResult>(load);
    return { ...result, cpuSeconds: (await cpuSeconds(proxy.pid)) - before };
  } finally {
    await end(load);
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

function report(results: ReadonlyMap<string, readonly Measured[]>): void {
  const perCpu = (rows: readonly Measured[]): number =>
    median(rows.map((row) => row.requests / row.cpuSeconds));
  const reference = perCpu(results.get('nginx') ?? []);
  console.log(
    `${String(asked.rounds)} rounds of ${String(asked.seconds)} s, ${String(asked.connections)} connections, ` +
      `medians; ${String(cpus().length)} x ${cpus()[0]?.model ?? 'CPU'}`,
  );
  console.log(
    `${'proxy'.padEnd(30)} ${'requests/s'.padStart(10)} ${'p50 ms'.padStart(8)} ${'p99 ms'.padStart(8)} ` +
      `${'per CPU s'.padStart(10)} ${'of nginx'.padStart(9)}`,
  );
  for (const [name, rows] of results) {
    const figures = [
      [median(rows.map((row) => row.requests / row.seconds)).toFixed(0), 10],
      [median(rows.map((row) => row.p50Ms)).toFixed(2), 8],
      [median(rows.map((row) => row.p99Ms)).toFixed(2), 8],
      [perCpu(rows).toFixed(0), 10],
      [(perCpu(rows) / reference).toFixed(2), 9],
    ] as const;
    console.log(
      [name.padEnd(30), ...figures.map(([text, width]) => text.padStart(width))].join(' '),
    );
  }
}

const folder = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
const stops: (() => Promise<void>)[] = [];
try {
  if (asked.profile !== undefined) await mkdir(asked.profile, { recursive: true });
  const program = await findNginx(folder);
  const upstreamPort = await freePort();
  const upstream = await startNginx({
    program,
    folder,
    name: 'upstream',
    port: upstreamPort,
    http:
      `access_log off; default_type application/json;\n` +
      `server { listen 127.0.0.1:${String(upstreamPort)}; return 200 "${'x'.repeat(ANSWER_BYTES)}"; }`,
  });
  stops.push(() => upstream.stop());
  const only = asked.only?.split(';');
  const all = await variants(folder);
  const chosen = all.filter((one) => only === undefined || only.includes(one.name));
  const results = new Map<string, Measured[]>(chosen.map((one) => [one.name, []]));
  const proxies = new Map<string, Proxy>();
  for (const variant of chosen) {
    const proxy = await startProxy(variant, { program, folder, upstreamPort });
    stops.push(() => proxy.stop());
    proxies.set(variant.name, proxy);
  }
  for (let round = 0; round < Number(asked.rounds); round += 1) {
    for (const variant of chosen) {
      const proxy = proxies.get(variant.name);
      if (proxy !== undefined) results.get(variant.name)?.push(await measure(proxy, variant));
    }
  }
  report(results);
} finally {
  for (const stop of stops.reverse()) await stop();
  await rm(folder, { recursive: true, force: true });
}
