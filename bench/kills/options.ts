/** The command line of the kills. */
import { parseArgs } from 'node:util';
import type { SurvivalGoal } from '../../src/topology/survival.ts';

export interface KillsOptions {
  readonly layout: SurvivalGoal;
  /** In all, those of earlier runs included. */
  readonly kills: number;
  readonly seed: number;
  /** Of emulated round trips. */
  readonly scale: number;
  /** Rows are read back after so many. */
  readonly every: number;
}

/** Throws a sentence for what it cannot read. */
export function parseKillsOptions(args: readonly string[]): KillsOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      layout: { type: 'string', default: 'zone' },
      kills: { type: 'string', default: '1000' },
      seed: { type: 'string', default: '1' },
      scale: { type: 'string', default: '1' },
      every: { type: 'string', default: '20' },
    },
  });
  const { layout } = values;
  if (layout !== 'zone' && layout !== 'region') {
    throw new Error(`--layout ${layout}: expected zone or region`);
  }
  return {
    layout,
    kills: numberOf('kills', values.kills, { least: 1, whole: true }),
    seed: numberOf('seed', values.seed, { least: 0, whole: true }),
    scale: numberOf('scale', values.scale, { least: 0.01, whole: false }),
    every: numberOf('every', values.every, { least: 1, whole: true }),
  };
}

function numberOf(
  name: string,
  text: string,
  { least, whole }: { readonly least: number; readonly whole: boolean },
): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (value >= least && (!whole || Number.isSafeInteger(value))) return value;
  const kind = whole ? 'a whole number' : 'a number';
  throw new Error(`--${name} ${text}: expected ${kind} from ${String(least)}`);
}
