/** Figures beside their aims. Pure. */
import type { SurvivalGoal } from '../../src/topology/survival.ts';
import { spreadOf, type Spread } from '../cluster/figures.ts';

/** Milliseconds, of what a measurement is to be at most. */
export interface Aim {
  readonly median?: number;
  readonly max: number;
}

export interface Row extends Spread {
  readonly layout: SurvivalGoal;
  readonly what: string;
  readonly aim: Aim;
  readonly met: boolean;
  readonly values: readonly number[];
}

export const AIMS: Readonly<Record<SurvivalGoal, { killed: Aim; switchover: Aim }>> = {
  zone: { killed: { median: 600, max: 1_500 }, switchover: { max: 400 } },
  region: { killed: { median: 2_200, max: 4_000 }, switchover: { max: 1_400 } },
};
export const REBUILD_AIM: Aim = { max: 5_000 };
/** Beyond the lease. */
export const SILENT_AIM_MS = 2_000;

export function rowOf(
  { layout, what, aim }: Pick<Row, 'layout' | 'what' | 'aim'>,
  values: readonly number[],
): Row {
  const spread = spreadOf(values) ?? { count: 0, median: NaN, p99: NaN, max: NaN };
  const met = spread.max <= aim.max && spread.median <= (aim.median ?? Infinity);
  return { layout, what, ...spread, aim, met, values: values.map(Math.round) };
}

export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map(({ layout, what, count, median, max, aim, met }) => [
    layout,
    what,
    String(count),
    `${String(median)} ms`,
    `${String(max)} ms`,
    `${aim.median === undefined ? '' : `median ${String(aim.median)}, `}max ${String(aim.max)}`,
    met ? 'yes' : 'NO',
  ]);
  const table = [['layout', 'what', 'rounds', 'median', 'max', 'aim', 'met'], ...cells];
  const width = (column: number): number =>
    Math.max(...table.map((row) => row[column]?.length ?? 0));
  return table
    .map((row) =>
      row
        .map((cell, at) => (at < 2 ? cell.padEnd(width(at)) : cell.padStart(width(at))))
        .join('  '),
    )
    .join('\n');
}
