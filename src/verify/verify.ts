/** `meridian verify` without a terminal: runs, judges, reports, and keeps what explains a failure. */
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { RunFolder } from './folder.ts';
import { CHECKERS, formatOperations, uncoveredBy } from './judging.ts';
import { countsOf, pausesOf } from './measure.ts';
import type { VerifyOptions } from './options.ts';
import { reasonOf, reportText, type VerifyReport } from './report.ts';
import { runVerification, type Ran, type RunServices } from './run.ts';
import { WORKLOADS } from './workloads/registry.ts';

export interface VerifyServices extends Omit<RunServices, 'log' | 'folder'> {
  readonly logTo: (file: string) => Log;
}

export interface Verified {
  readonly report: VerifyReport;
  readonly text: string;
  readonly clean: boolean;
}

export async function verify(options: VerifyOptions, services: VerifyServices): Promise<Verified> {
  const { clock, onProgress } = services;
  const startMs = clock.monotonicMs();
  const folder = await RunFolder.make(options);
  let explained = false;
  try {
    const log = services.logTo(join(folder.path, 'data', 'logs', 'supervisor.log'));
    const ran = await runVerification(options, { ...services, log, folder: folder.path });
    onProgress('checking');
    const judged = judge(options, ran, { clock, startMs });
    explained = reasonOf(judged) !== undefined;
    const report = explained || folder.keepsAll ? { ...judged, kept: folder.path } : judged;
    const text = reportText(report, {
      checkers: CHECKERS,
      format: (indexes) => formatOperations(ran.history, indexes),
    });
    if (report.kept !== undefined) {
      await folder.writeHistory(ran.history);
      await folder.writeReport(text);
    }
    return { report, text, clean: !explained };
  } catch (error) {
    explained = !isMeridianError(error, 'ERR_ABORTED');
    if (explained) onProgress(`logs: ${folder.path}`);
    throw error;
  } finally {
    await folder.leave(explained);
  }
}

function judge(
  options: VerifyOptions,
  ran: Ran,
  { clock, startMs }: { readonly clock: Clock; readonly startMs: number },
): VerifyReport {
  const { history, load, groups, planned, played } = ran;
  const { operations, injected } = history;
  const verdicts = CHECKERS.map((checker) => checker.check(history));
  return {
    ...{ seed: options.seed, seconds: options.seconds, layout: options.layout },
    faults: options.faults,
    again: commandOf(options),
    moves: { planned: planned.length, played: played.played },
    failedMoves: played.failed,
    injected,
    operations: operations.length,
    capped: ran.capped,
    workloads: WORKLOADS.map(({ name, actions }) => countsOf(name, actions, operations)),
    pauses: pausesOf(operations, groups, load),
    unrecovered: ran.unrecovered,
    verdicts,
    uncovered: uncoveredBy(options, history, verdicts),
    tookMs: Math.round(clock.monotonicMs() - startMs),
  };
}

export function commandOf({ seconds, seed, faults, layout, scale }: VerifyOptions): string {
  const asked = faults.length === 0 ? 'none' : faults.join(',');
  const scaled = scale === 1 ? '' : ` --scale ${String(scale)}`;
  return `meridian verify --seconds ${String(seconds)} --seed ${String(seed)} --faults ${asked} --layout ${layout}${scaled}`;
}
