/** Checks of the engine, the data directory, its disk, and of who runs there. Pure. */
import type { EngineDiagnosis } from '../engines/diagnosis.ts';
import type { DeclaredFacts } from './facts.ts';
import { failure, formatSize, ok, warning, type Verdict } from './verdict.ts';

type Part = Exclude<keyof EngineDiagnosis, 'needs' | 'nodesDirectory'>;

/** The engine's own words; an engine that says nothing has no such line. */
export const enginePart =
  (part: Part) =>
  ({ engine }: DeclaredFacts): Verdict | undefined => {
    if (engine === undefined) return undefined;
    const { found, fault } = engine[part];
    return fault === undefined
      ? ok(found)
      : { status: fault.severity, found, remedy: fault.remedy };
  };

export function directory({ installation }: DeclaredFacts): Verdict {
  const { directory: path, kind, writable } = installation;
  const elsewhere = 'or name another folder in dataDirectory.';
  if (kind === 'other') {
    return failure(
      `${path}, or a part of its path, is not a folder`,
      `Move the file away, ${elsewhere}`,
    );
  }
  if (kind === 'hidden') {
    return failure(
      `${path} cannot be entered by this account`,
      `Run as the account that owns it, ${elsewhere}`,
    );
  }
  if (!writable) {
    const found = kind === 'absent' ? `${path} cannot be made` : `${path} is not writable`;
    return failure(`${found} by this account`, `Give it write access, ${elsewhere}`);
  }
  return ok(kind === 'absent' ? `${path} will be made` : `${path} is writable`);
}

export function documents({ installation }: DeclaredFacts): Verdict | undefined {
  const { fault, kind, writtenAtMs } = installation;
  if (fault !== undefined) return failure(fault.message, fault.remedy);
  if (kind !== 'folder') return undefined;
  return ok(
    writtenAtMs === undefined ? 'no installation yet' : 'the control store is whole and readable',
  );
}

export function disk({ disk: found, engine, running }: DeclaredFacts): Verdict | undefined {
  if (found === undefined) return undefined;
  const text = `${formatSize(found.freeBytes)} free at ${found.path}`;
  const needs = engine?.needs;
  if (needs === undefined) return ok(text);
  const { diskBytes, growthBytes } = needs;
  if (running === undefined && found.freeBytes < diskBytes) {
    return failure(
      `${text}, and the start writes ${formatSize(diskBytes)}`,
      'Free disk space, or name a folder on another disk in dataDirectory.',
    );
  }
  if (found.freeBytes < diskBytes + growthBytes) {
    return warning(
      `${text}; with logs that grow, ${formatSize(diskBytes + growthBytes)} are needed`,
      'Free disk space before the servers stop for want of it.',
    );
  }
  return ok(diskBytes === 0 ? text : `${text}; the start writes ${formatSize(diskBytes)}`);
}

export function supervisor({ installation, running }: DeclaredFacts): Verdict {
  if (running !== undefined) {
    const pid = String(running.pid);
    if (running.ports !== undefined) return ok(`the platform runs (process ${pid})`);
    return warning(
      `process ${pid} runs this installation, and does not answer`,
      'It may be starting or stopping: look again in a moment, and into its logs.',
    );
  }
  const { strays } = installation;
  if (strays.length === 0) return ok('the platform does not run');
  const some = strays.slice(0, 3).map(({ name, pid }) => `${name} (${String(pid)})`);
  return warning(
    `${String(strays.length)} processes of a killed run are left: ${some.join(', ')}${strays.length > 3 ? ', …' : ''}`,
    'Start the platform (meridian up): it ends them first, and keeps the data.',
  );
}
