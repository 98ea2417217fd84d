/** `meridian verify` without a terminal: runs, judges, reports, and keeps what explains a failure. */
import { join } from 'node:path';
import { isMeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { RunFolder } from './folder.ts';
import { judge, type Judgement } from './judging.ts';
import { countsOf, pausesOf } from './measure.ts';
import { formatHistory } from './minimal.ts';
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
    const judgement = judge(ran, { faults: options.faults.length > 0 });
    const told = reportOf(options, ran, judgement);
    explained = reasonOf(told) !== undefined;
    const report: VerifyReport = {
      ...told,
      kept: explained || folder.keepsAll ? folder.path : undefined,
      tookMs: Math.round(clock.monotonicMs() - startMs),
    };
    const text = reportText(report, {
      checkers: judgement.checkers,
      format: (indexes) => formatHistory(ran.history, indexes),
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

function reportOf(
  options: VerifyOptions,
  ran: Ran,
  { verdicts, uncovered }: Judgement,
): Omit<VerifyReport, 'kept' | 'tookMs'> {
  const { history, load, groups, planned, played } = ran;
  const { operations, injected } = history;
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
    uncovered,
  };
}

export function commandOf({ seconds, seed, faults, layout, scale }: VerifyOptions): string {
  const asked = faults.length === 0 ? 'none' : faults.join(',');
  const scaled = scale === 1 ? '' : ` --scale ${String(scale)}`;
  return `meridian verify --seconds ${String(seconds)} --seed ${String(seed)} --faults ${asked} --layout ${layout}${scaled}`;
}
