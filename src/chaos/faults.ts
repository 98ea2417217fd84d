/**
 * From the faults in force to what they do, all together. Pure: a fault that ends is left out of the
 * list, and what remains says what still holds, so that faults that overlap are undone in any order.
 */
import type { ChaosFault, ChaosPlace, ChaosRequest, ChaosTarget } from '../control/chaos.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { CutSelector, WanFaults } from '../wan/link.ts';
import { databases, targetText, type ChaosProcess } from './targets.ts';

export interface Fault extends ChaosFault {
  readonly processes: readonly ChaosProcess[];
}

export interface Effects extends WanFaults {
  /** Processes whose machine is down or frozen: the fault that says so. */
  readonly down: ReadonlyMap<string, string>;
  readonly frozen: ReadonlyMap<string, string>;
  /** Processes that hang on a machine that is well. */
  readonly hung: ReadonlySet<string>;
  /** Database server → milliseconds. */
  readonly skews: ReadonlyMap<string, number>;
}

export function effectsOf(faults: readonly Fault[]): Effects {
  const down = new Map<string, string>();
  const frozen = new Map<string, string>();
  const hung = new Set<string>();
  const skews = new Map<string, number>();
  const cuts: CutSelector[] = [];
  const slows: { readonly selector: CutSelector; readonly addMs: number }[] = [];
  for (const { id, request, processes, lasting } of faults) {
    if (!lasting) continue;
    const { action, target } = request;
    for (const { name, kind } of processes) {
      if (action === 'kill') down.set(name, id);
      else if (action === 'stop' && target.kind === 'process') hung.add(name);
      else if (action === 'stop') frozen.set(name, id);
      else if (action === 'skew' && kind === 'database') {
        skews.set(name, (skews.get(name) ?? 0) + request.offsetMs);
      }
    }
    if (action === 'partition') cuts.push(selectorOf(target));
    if (action === 'slow') slows.push({ selector: selectorOf(target), addMs: request.addMs });
  }
  return { down, frozen, hung, skews, cuts, slows };
}

/** A process that ends or is asked to end comes back by itself; what ails a machine or a link stays. */
export function isLasting({ action, target }: ChaosRequest): boolean {
  return action !== 'restart' && !(action === 'kill' && target.kind === 'process');
}

/** Throws ERR_CHAOS_REFUSED for what cannot be done to such a target, anywhere. */
export function checkFits(request: ChaosRequest, processes: readonly ChaosProcess[]): void {
  const { action, target } = request;
  switch (action) {
    case 'kill':
    case 'stop':
    case 'restart':
      if (target.kind === 'link') {
        throw refused(`a link has no process to ${action}`, 'Use partition or slow on a link.');
      }
      return;
    case 'partition':
    case 'slow':
      if (target.kind === 'process' || target.kind === 'node') throw withinZone(action, processes);
      return;
    case 'skew':
      if (databases(processes).length === 0) {
        throw refused(
          'only clocks of database servers can be moved',
          'Name a database node, or a zone or region that has one.',
        );
      }
      return;
    case 'fill-disk':
      throw refused(
        'no disk can be filled here: the servers share a file system, and none that is in use can be ' +
          'given a quota that fails as a full disk does (ENOSPC)',
        'Put dataDirectory on a small volume of its own, and fill that: all database servers then meet it.',
      );
  }
}

/** "stop zone:us-east/a: 5 processes" */
export function summaryOf(request: ChaosRequest, processes: readonly ChaosProcess[]): string {
  const what = `${request.action} ${targetText(request.target)}`;
  switch (request.action) {
    case 'slow':
      return `${what}: ${String(request.addMs)} ms more round trip`;
    case 'skew':
      return `${what}: by ${String(request.offsetMs)} ms`;
    case 'partition':
    case 'fill-disk':
      return what;
    default: {
      if (request.target.kind !== 'place') return what;
      const { length } = processes;
      return `${what}: ${String(length)} process${length === 1 ? '' : 'es'}`;
    }
  }
}

export function refused(message: string, remedy: string): MeridianError {
  return new MeridianError('ERR_CHAOS_REFUSED', message, { remedy });
}

/** A place stands for its link to the rest of the world. */
function selectorOf(target: ChaosTarget): CutSelector {
  if (target.kind === 'place') return { from: placeOf(target.place) };
  if (target.kind !== 'link') return {};
  const { from, to, oneWay } = target;
  return {
    from: placeOf(from),
    ...(to === undefined ? {} : { to: placeOf(to) }),
    ...(oneWay === true ? { oneWay } : {}),
  };
}

function placeOf({ region, zone }: ChaosPlace): { region: string; zone?: string } {
  return zone === undefined ? { region } : { region, zone };
}

function withinZone(
  action: 'partition' | 'slow',
  [process]: readonly ChaosProcess[],
): MeridianError {
  const { region = '', zone = '' } = process?.locality ?? {};
  return refused(
    `${action} is for places and links: within a zone processes speak directly, so that one alone ` +
      'cannot be cut off or slowed',
    `Use zone:${region}/${zone}, where it is; to make it silent for everybody, stop it.`,
  );
}
