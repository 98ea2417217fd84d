/**
 * One installation or build at a time in this folder. The lock is a directory, since making one either
 * succeeds or tells that somebody was first, on every file system.
 *
 * A lock whose owner died is taken over: on the same machine the owner's process id tells; from another
 * machine or container (a shared folder) only the heartbeat does.
 */
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { explainWrite, say } from './console.mjs';

const HEARTBEAT_MS = 2_000;
const SILENT_MS = 60_000;
const POLL_MS = 200;
const WAIT_MS = 15 * 60_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs `work` while holding the lock at `path`. */
export async function withLock(path, work) {
  const release = await acquire(path);
  try {
    return await work();
  } finally {
    release();
  }
}

async function acquire(path) {
  const deadline = Date.now() + WAIT_MS;
  let told = false;
  while (!tryTake(path)) {
    const owner = readOwner(path);
    if (owner !== undefined && isStale(owner)) {
      breakStale(path, owner.text);
      continue;
    }
    if (Date.now() > deadline) {
      throw explainWrite(
        new Error(`waited 15 minutes for ${path}: remove it and run it again.`),
        path,
      );
    }
    if (!told) say('another command is installing or building here; waiting for it.');
    told = true;
    await sleep(POLL_MS);
  }
  const heartbeat = setInterval(() => {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // Somebody removed the lock by hand; the work is idempotent, so go on.
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  const release = () => {
    clearInterval(heartbeat);
    process.off('exit', release);
    rmSync(path, { recursive: true, force: true });
  };
  process.on('exit', release);
  return release;
}

function tryTake(path) {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw explainWrite(error, dirname(path));
  }
  try {
    mkdirSync(path);
    writeFileSync(join(path, 'owner'), JSON.stringify({ pid: process.pid, host: hostname() }));
    return true;
  } catch (error) {
    if (error?.code === 'EEXIST' || error?.code === 'ENOENT') return false;
    throw explainWrite(error, path);
  }
}

/** Undefined when the lock has gone meanwhile. */
function readOwner(path) {
  try {
    const { mtimeMs } = statSync(path);
    let text = '';
    try {
      text = readFileSync(join(path, 'owner'), 'utf8');
    } catch {
      // Taken a moment ago and not yet signed, or its owner died in between: its age decides.
    }
    return { text, silentMs: Date.now() - mtimeMs };
  } catch {
    return undefined;
  }
}

function isStale(owner) {
  if (owner.silentMs > SILENT_MS) return true;
  if (owner.text === '') return owner.silentMs > 5_000;
  try {
    const { pid, host } = JSON.parse(owner.text);
    return host === hostname() && !isAlive(pid);
  } catch {
    return false;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error?.code === 'EPERM';
  }
}

/** Renaming is atomic: of several that saw the same dead owner, one removes the lock. */
function breakStale(path, ownerText) {
  const aside = `${path}.stale-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error?.code === 'ENOENT') return;
    throw explainWrite(error, path);
  }
  const taken = readOwner(aside);
  if (taken !== undefined && taken.text !== ownerText) {
    // Between our look and the rename somebody else had taken it over: give it back.
    try {
      renameSync(aside, path);
      return;
    } catch {
      // A third one holds it now; the work is idempotent, so let both go on.
    }
  }
  rmSync(aside, { recursive: true, force: true });
}
