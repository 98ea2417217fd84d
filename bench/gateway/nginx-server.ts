/**
 * nginx for comparisons: the one on the PATH, else Debian's package unpacked into the bench's own
 * folder. That needs no rights and installs nothing. Runs as the calling user, on loopback alone.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { systemClock, waitUntil } from '../../src/kernel/clock.ts';

const run = promisify(execFile);

export interface Nginx {
  readonly pid: number;
  stop(): Promise<void>;
}

/** The program's path. Throws, in words, where there is none and none can be had. */
export async function findNginx(folder: string): Promise<string> {
  const installed = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find(existsSync);
  if (installed !== undefined) return installed;
  const unpacked = join(folder, 'nginx');
  await mkdir(unpacked, { recursive: true });
  try {
    await run('apt-get', ['download', 'nginx'], { cwd: unpacked });
    const debs = (await readdir(unpacked)).filter((name) => name.endsWith('.deb'));
    for (const name of debs) await run('dpkg-deb', ['-x', join(unpacked, name), unpacked]);
    const program = join(unpacked, 'usr/sbin/nginx');
    await run(program, ['-v']);
    return program;
  } catch (cause) {
    throw new Error('this comparison needs nginx: install the package nginx and run it again', {
      cause,
    });
  }
}

/** `server` is the inside of the `http` block. */
export async function startNginx(at: {
  readonly program: string;
  readonly folder: string;
  readonly name: string;
  readonly port: number;
  readonly http: string;
}): Promise<Nginx> {
  const home = join(at.folder, at.name);
  await mkdir(home, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${join(home, kind)};`)
    .join(' ');
  const file = join(home, 'nginx.conf');
  await writeFile(
    file,
    `daemon off; worker_processes 1; error_log ${join(home, 'error.log')} warn;\n` +
      `pid ${join(home, 'pid')}; worker_rlimit_nofile 8192;\n` +
      `${process.getuid?.() === 0 ? 'user root;\n' : ''}` +
      `events { worker_connections 4096; }\n` +
      `http { ${temporary}\nkeepalive_requests 1000000000; keepalive_timeout 65s;\n${at.http}\n}\n`,
  );
  const child = spawn(at.program, ['-c', file, '-e', join(home, 'error.log'), '-p', home], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit');
  await Promise.race([
    waitUntil(
      systemClock,
      { what: `nginx at port ${String(at.port)}`, timeoutMs: 5_000 },
      async () => ((await answers(at.port)) ? true : undefined),
    ),
    ended.then(() => {
      throw new Error(`nginx ended at once: see ${join(home, 'error.log')}`);
    }),
  ]);
  return { pid: child.pid ?? 0, stop: () => stop(child, ended) };
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  await ended;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => {
      resolve(false);
    });
  });
}
