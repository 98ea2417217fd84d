/** One `meridian verify` of a platform, as a user would run it, and what it said. */
import { spawn } from 'node:child_process';
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import type { VerifyReport } from '../../src/verify/report.ts';

export interface Verification {
  readonly program: string;
  readonly layout: SurvivalGoal;
  readonly seed: number;
  readonly seconds: number;
  readonly faults: string;
  readonly scale?: number;
  readonly signal?: AbortSignal;
}

export type Told = VerifyReport & { readonly clean: boolean; readonly reason?: string };

/** Rejects when it ended without a report: that is neither clean nor a finding. */
export async function runVerification(asked: Verification): Promise<Told> {
  const args = [
    ...['verify', '--json', '--layout', asked.layout, '--seed', String(asked.seed)],
    ...['--seconds', String(asked.seconds), '--faults', asked.faults],
    ...(asked.scale === undefined ? [] : ['--scale', String(asked.scale)]),
  ];
  const child = spawn(process.execPath, ['--enable-source-maps', asked.program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const interrupt = (): void => {
    child.kill('SIGINT');
  };
  asked.signal?.addEventListener('abort', interrupt, { once: true });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err = (err + text).slice(-4_000)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  asked.signal?.removeEventListener('abort', interrupt);
  try {
    return JSON.parse(out) as Told;
  } catch {
    throw new Error(`meridian verify ended with ${String(code)} and no report:\n${err}`);
  }
}

/**
 * What checkers have found, if anything. A run that covered too little, or a cluster that did not recover in
 * time, has caught nobody.
 */
export function caughtBy(told: Told): string | undefined {
  const broken = told.verdicts.filter(({ violations }) => violations.length > 0);
  return broken.length > 0 ? broken.map(({ checker }) => checker).join(', ') : undefined;
}
