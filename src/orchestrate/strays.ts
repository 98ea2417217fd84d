/**
 * Processes that outlived their supervisor. A supervisor killed with -9 stops nothing, so every process
 * it starts is written down first-thing, with the time the kernel says it began; the next start ends
 * those that are still the same processes. (Pids are reused: the time tells.)
 */
import { appendFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import type { Clock } from '../kernel/clock.ts';
import type { Host, HostedProcess, ProcessSpec } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import { signalTree } from './drivers/process-tree.ts';
import { identify, lives, type ProcessIdentity } from '../control/process-identity.ts';

interface Recorded extends ProcessIdentity {
  readonly name: string;
}

const GRACE_MS = 2_000;

export interface RecordedHost extends Host {
  /** Ends all that runs at once: these database servers by SIGQUIT, so that nothing of them stays behind. */
  kill(databaseServers: ReadonlySet<string>): void;
}

/** A host that writes down what it starts. */
export function recordedHost(host: Host, file: string): RecordedHost {
  const running = new Set<HostedProcess>();
  return {
    run: (spec, timeoutMs) => host.run(spec, timeoutMs),
    endCommands: () => {
      host.endCommands();
    },
    isDown: (name) => host.isDown?.(name) === true,
    freePort: () => host.freePort(),
    bindSocket: (address, port) => host.bindSocket(address, port),
    spawn: async (spec: ProcessSpec): Promise<HostedProcess> => {
      const process = await host.spawn(spec);
      running.add(process);
      void process.exited.then(() => running.delete(process));
      const identity = await identify(process.pid);
      if (identity !== undefined) {
        const line: Recorded = { name: spec.name, ...identity };
        appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
      }
      return process;
    },
    kill: (databaseServers) => {
      for (const process of running) {
        if (!databaseServers.has(process.name)) {
          process.signalGroup('SIGKILL');
          continue;
        }
        process.signal('SIGQUIT');
        // One that stands still would not hear of it.
        process.signal('SIGCONT');
      }
    },
  };
}

/** Ends what an earlier supervisor left; empties the record. */
export async function endStrays(
  file: string,
  options: {
    readonly clock: Clock;
    readonly log: Log;
    /** How each is asked to end; 'keep' leaves it to the part that knows it. */
    readonly how: (name: string) => NodeJS.Signals | 'keep';
  },
): Promise<number> {
  const recorded = await readRecorded(file);
  // A fault on purpose may have left them standing still, and then they obey nobody.
  for (const { pid } of await living(recorded)) signalTree(pid, 'SIGCONT');
  const strays = await living(recorded.filter((one) => options.how(one.name) !== 'keep'));
  for (const stray of strays) {
    options.log.warn('ending a process of an earlier run', { name: stray.name, pid: stray.pid });
    const signal = options.how(stray.name);
    if (signal !== 'keep') send(stray, signal);
  }
  await untilGone(strays, options.clock);
  for (const stray of await living(strays)) send(stray, 'SIGKILL');
  // Their ports are free once they are gone, which takes a moment even then.
  await untilGone(strays, options.clock);
  await writeFile(file, '', { mode: 0o600 });
  return strays.length;
}

/** Those that are recorded and still live; ends nobody. */
export async function livingRecorded(
  file: string,
): Promise<readonly { readonly name: string; readonly pid: number }[]> {
  return living(await readRecorded(file));
}

async function readRecorded(file: string): Promise<Recorded[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.split('\n').flatMap(parseLine);
}

async function untilGone(strays: readonly Recorded[], clock: Clock): Promise<void> {
  const deadline = clock.monotonicMs() + GRACE_MS;
  while ((await living(strays)).length > 0 && clock.monotonicMs() < deadline) {
    await clock.sleep(20);
  }
}

/** After an orderly stop there is nothing to look for. */
export async function forgetProcesses(file: string): Promise<void> {
  await rm(file, { force: true });
}

function parseLine(line: string): Recorded[] {
  try {
    const value = JSON.parse(line) as Recorded;
    return Number.isInteger(value.pid) && value.pid > 1 ? [value] : [];
  } catch {
    // The line that a crash cut short.
    return [];
  }
}

/**
 * Those that are proven to be the recorded processes. Where the system tells no start times a number
 * proves nothing, and a stranger's process is not ours to end: ours notice by themselves that their
 * supervisor is gone.
 */
async function living(recorded: readonly Recorded[]): Promise<Recorded[]> {
  const answers = await Promise.all(
    recorded.map(async (one) => one.started !== undefined && (await lives(one))),
  );
  return recorded.filter((_, index) => answers[index] === true);
}

function send(recorded: Recorded, signal: NodeJS.Signals): void {
  try {
    process.kill(recorded.pid, signal);
  } catch {
    // Ended meanwhile.
  }
}
