/**
 * One PostgreSQL server process: its configuration files, its start, its two ways to stop.
 *
 * Signals are PostgreSQL's own (docs, 18.5): SIGINT is the fast shutdown, which on a leader first ships
 * everything to its standbys; SIGQUIT is the immediate one, which the next start recovers from.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../kernel/clock.ts';
import type { HostedProcess } from '../../kernel/host.ts';
import type { NodeSpec } from '../../topology/node.ts';
import { giveTo } from './account.ts';
import { replaceFile, writePassfile, type InitialiseServices } from './initialise.ts';
import {
  ADMITTED_FILE,
  admittedSettings,
  hostAccess,
  mainSettings,
  roleSettings,
  type RoleSettings,
} from './settings.ts';
import { nodePaths, removeLeftovers, type Storage } from './storage.ts';
import { stopStray } from './stray-server.ts';

export interface ServerServices extends InitialiseServices {
  readonly clock: Clock;
}

/** What was written last, and who was told to read it: neither is done twice for nothing. */
export interface RoleFiles {
  /** Undefined: not known. A start writes the files too. */
  written: string | undefined;
  read: { readonly process: HostedProcess | undefined; readonly text: string } | undefined;
}

export type ServerRole = Omit<RoleSettings, 'passfile'>;

/** Writes all configuration and starts the process; it may not accept connections yet. */
export async function startServer(
  services: ServerServices,
  node: NodeSpec,
  start: { readonly port: number; readonly role: ServerRole; readonly connectionsMax: number },
): Promise<HostedProcess> {
  const paths = nodePaths(services.storage, node.name);
  await stopStray(services, node.name);
  await removeLeftovers(services.storage, node.name);
  await replaceFile(
    services.account,
    join(paths.data, 'postgresql.conf'),
    mainSettings(node, start.port, {
      ...services.options,
      connectionsMax: start.connectionsMax,
    }),
  );
  // A leader lets the application in after its barrier alone (opening.ts).
  await writeHostAccess(services, node.name, { application: start.role.follows });
  await writeRole(services, node, start.role);
  if (start.role.follows) await markFollower(services, node);
  return services.host.spawn({
    name: node.name,
    command: services.binaries.postgres,
    args: ['-D', paths.data],
    env: { TZ: 'UTC', LC_ALL: 'C' },
    logFile: paths.log,
    ...(services.account.user === undefined ? {} : { user: services.account.user }),
  });
}

/** Who may connect; a reload applies it. */
export async function writeHostAccess(
  services: ServerServices,
  node: string,
  admitted: { readonly application: boolean },
): Promise<void> {
  const { data } = nodePaths(services.storage, node);
  await replaceFile(services.account, join(data, 'pg_hba.conf'), hostAccess(admitted));
}

/** Read in one reload with who may connect; written after that, so whoever has read this has both. */
export async function writeAdmitted(
  services: ServerServices,
  node: string,
  epoch: number,
): Promise<void> {
  const { data } = nodePaths(services.storage, node);
  await replaceFile(services.account, join(data, ADMITTED_FILE), admittedSettings(epoch));
}

/**
 * The part of the configuration that changes with the node's role; a reload applies it. A fenced one
 * loses its replication password first: a receiver that is just being started cannot get in any more.
 */
export async function writeRole(
  services: ServerServices,
  node: NodeSpec,
  role: ServerRole,
): Promise<void> {
  const paths = nodePaths(services.storage, node.name);
  const fenced = role.follows && role.upstream === undefined;
  await writePassfile(services, node.name, fenced ? 'nothing' : 'replication');
  const text = roleSettings(node, { ...role, passfile: paths.passfile });
  await replaceFile(services.account, join(paths.data, 'role.conf'), text);
}

/**
 * It starts in recovery and stays there. A leader's is never removed here: one that was elected and not
 * promoted yet starts in recovery too, and PostgreSQL removes the file when it is promoted.
 */
async function markFollower(services: ServerServices, node: NodeSpec): Promise<void> {
  const file = join(nodePaths(services.storage, node.name).data, 'standby.signal');
  await writeFile(file, '', { mode: 0o600 });
  await giveTo(services.account, file);
}

/** In a line of postmaster.pid, padded: the server takes connections, as a follower too. */
const STATUS_LINE = 8;
const STATUS_READY = 'ready';

/**
 * Does the server say that it takes connections? Asking it with a connection costs it a process each time
 * to say no. An earlier process's file may still say yes.
 */
export async function saysReady(storage: Storage, node: string): Promise<boolean> {
  const { data } = nodePaths(storage, node);
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n')[STATUS_LINE - 1]?.trim() === STATUS_READY;
}

/** The end of a server's log, for messages. */
export async function logTail(file: string, lines = 5): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}
