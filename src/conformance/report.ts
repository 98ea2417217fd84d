/** What a run of the suite found, and the capability matrix as a page shows it. Pure. */
import type { EngineCapabilities } from '../engines/capabilities.ts';
import type { SurvivalGoal } from '../topology/survival.ts';
import { EXERCISED_BY } from './laws/capability.ts';
import { LAWS } from './laws/all.ts';

export type LawOutcome =
  | { readonly kind: 'upheld' | 'refused as unclaimed' }
  | { readonly kind: 'broken' | 'not run'; readonly why: string };

export interface LayoutReport {
  readonly survive: SurvivalGoal;
  /** By the law's id; a law that the runner left out is missing. */
  readonly outcomes: ReadonlyMap<string, LawOutcome>;
}

export interface ConformanceReport {
  readonly engine: string;
  readonly capabilities: EngineCapabilities;
  readonly layouts: readonly LayoutReport[];
}

const NOT_STARTED: LawOutcome = { kind: 'not run', why: 'the runner left it out' };

const outcomeOf = (layout: LayoutReport, id: string): LawOutcome =>
  layout.outcomes.get(id) ?? NOT_STARTED;

/** "L1" before "L2" before "S10". */
function byId(a: { readonly id: string }, b: { readonly id: string }): number {
  return (
    (a.id[0] ?? '').localeCompare(b.id[0] ?? '') || Number(a.id.slice(1)) - Number(b.id.slice(1))
  );
}

function cell(outcome: LawOutcome): string {
  return outcome.kind === 'broken' ? '**broken**' : outcome.kind;
}

function valueOf(value: EngineCapabilities[keyof EngineCapabilities]): string {
  const items = typeof value === 'object' ? value : [value];
  return items.map((item) => `\`${String(item)}\``).join(', ') || 'none';
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}

/** The matrix, the laws with their outcomes, and what was not run. Markdown, to be formatted. */
export function capabilityMatrix(report: ConformanceReport): string {
  const { capabilities, layouts } = report;
  const goals = layouts.map((layout) => `\`survive: '${layout.survive}'\``);
  const claims = Object.entries(EXERCISED_BY).map(([name, laws]) => [
    `\`${name}\``,
    valueOf(capabilities[name as keyof EngineCapabilities]),
    laws(capabilities).join(', ') || 'describes only',
  ]);
  const laws = LAWS.toSorted(byId).map((law) => [
    law.id,
    law.says,
    ...layouts.map((layout) => cell(outcomeOf(layout, law.id))),
  ]);
  const notRun = layouts.flatMap((layout) =>
    LAWS.toSorted(byId).flatMap((law) => {
      const outcome = outcomeOf(layout, law.id);
      if (outcome.kind !== 'not run') return [];
      return [`- ${law.id} under \`survive: '${layout.survive}'\`: ${outcome.why}.`];
    }),
  );
  return [
    ...table([`capability of \`${report.engine}\``, 'claimed', 'exercised by'], claims),
    '',
    ...table(['law', 'says', ...goals], laws),
    '',
    ...(notRun.length === 0 ? ['Not run: none.'] : ['Not run:', '', ...notRun]),
    '',
  ].join('\n');
}

/** Replaces what stands between the markers. Throws when the page has none. */
export function withMatrix(page: string, matrix: string): string {
  const [start, end] = ['<!-- conformance:start -->', '<!-- conformance:end -->'];
  const [from, to] = [page.indexOf(start), page.indexOf(end)];
  if (from < 0 || to < from) throw new RangeError(`the page has no ${start} … ${end}`);
  return `${page.slice(0, from + start.length)}\n\n${matrix}\n${page.slice(to)}`;
}
