/** A plan as a person reads it. Pure text. */
import type { BytesBetween, PlanStep } from '../placement/plan/change.ts';
import type { Forecast, RequestClass } from '../placement/plan/forecast.ts';
import type { Finding } from '../placement/plan/lint.ts';
import type { PlacementPlan } from '../placement/plan/plan.ts';
import { formatDuration } from './duration.ts';
import { formatBytes, formatTable, type Column } from './output.ts';

export function planLines(plan: PlacementPlan, missing: readonly string[]): string[] {
  return [
    ...changeLines(plan),
    ...forecastLines(plan),
    ...section('Where it is otherwise than declared', plan.drift.map(bullet)),
    ...section('What distance costs, or forbids', plan.findings.flatMap(findingLines)),
    ...section(
      'Not known',
      missing.map((what) => `  ${what}`),
    ),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

const bullet = ({ what, remedy }: { readonly what: string; readonly remedy: string }): string =>
  `  ${what}\n      ${remedy}`;

function changeLines(plan: PlacementPlan): string[] {
  const { steps, refusals, restarts, pauseMs, copiedBytes, cost } = plan;
  if (refusals.length > 0) return ['This cannot be done:', ...refusals.map(bullet)];
  if (steps.length === 0 && !restarts) return ['Nothing would change: it is placed as declared.'];
  const pause = pauseMs === null ? 'an unknown time' : `about ${formatDuration(pauseMs)}`;
  const price =
    cost === null
      ? 'no prices are declared'
      : `${cost.amount.toFixed(2)} ${cost.currency} for what goes between regions`;
  return [
    'What would be done',
    ...steps.map((step, at) => `  ${String(at + 1)}. ${stepText(step)}`),
    ...(steps.length === 0 ? ['  other round trips come into force'] : []),
    '',
    `Copied: ${formatBytes(copiedBytes)} between regions; ${price}.`,
    ...replicationLines(plan),
    `Pause: it takes effect with a restart (meridian apply): ${pause}, as the last start took.`,
  ];
}

function replicationLines({ replication, cost }: PlacementPlan): string[] {
  if (replication === null) {
    return ['Replicated every day: known half a minute after the start.'];
  }
  const { beforeBytesPerDay, afterBytesPerDay, beforeAmountPerDay, afterAmountPerDay } =
    replication;
  const text = (bytes: number, amount: number | null): string =>
    amount === null || cost === null
      ? formatBytes(bytes)
      : `${formatBytes(bytes)} (${amount.toFixed(2)} ${cost.currency})`;
  const [before, after] = [
    text(beforeBytesPerDay, beforeAmountPerDay),
    text(afterBytesPerDay, afterAmountPerDay),
  ];
  const change = before === after ? `${before}, as now` : `${before} now, ${after} then`;
  return [`Replicated every day, as much as was written since the start: ${change}.`];
}

export function stepText(step: PlanStep): string {
  switch (step.kind) {
    case 'drain-region':
      return `${step.region} is drained: its ${String(step.accounts)} accounts go where they are nearest to their clients, while they are used${copiesText(step.copies)}`;
    case 'remove-region':
      return `${step.region} ends: ${String(step.servers)} database servers, its gateway, its app servers`;
    case 'add-region':
      return `${step.region} begins: ${String(step.servers)} database servers, a gateway, app servers`;
    case 'add-copies':
      return `copies of other regions' data are made: ${step.servers.join(', ')}${copiesText(step.copies)}`;
    case 'add-groups':
      return `replication groups are made: ${step.groups.join(', ')}`;
    case 'add-ranges':
      return `ranges are made, until each region has ${String(step.perRegion)}`;
  }
}

function copiesText(copies: readonly BytesBetween[]): string {
  const bytes = copies.reduce((sum, one) => sum + one.bytes, 0);
  return bytes === 0 ? '' : ` (${formatBytes(bytes)})`;
}

const CLASSES: Readonly<Record<RequestClass, string>> = {
  write: 'WRITE',
  'strong-read': 'STRONG READ',
  'bounded-read': 'BOUNDED READ',
  'global-write': 'GLOBAL WRITE',
};

interface Row {
  readonly region: string;
  readonly cells: Readonly<Partial<Record<RequestClass, string>>>;
}

function forecastLines({ forecast, weighed }: PlacementPlan): string[] {
  const rows = new Map<string, Row>();
  for (const one of forecast) {
    const row = rows.get(one.region) ?? { region: one.region, cells: {} };
    rows.set(one.region, { ...row, cells: { ...row.cells, [one.class]: cellText(one) } });
  }
  const columns: Column<Row>[] = [
    { title: 'CLIENTS IN', text: ({ region }) => region },
    ...(Object.keys(CLASSES) as RequestClass[]).map((kind): Column<Row> => ({
      title: CLASSES[kind],
      align: 'right',
      text: ({ cells }) => cells[kind] ?? '-',
    })),
  ];
  return [
    '',
    `What a request waits for distance, ${weighed ? 'by the traffic that was seen' : 'if accounts are used where they live'}`,
    ...formatTable([...rows.values()], columns).map((line) => `  ${line}`),
  ];
}

function cellText({ beforeMs, afterMs }: Forecast): string {
  const [before, after] = [ms(beforeMs), ms(afterMs)];
  return before === after ? before : `${before} → ${after}`;
}

const ms = (value: number): string => `${value < 10 ? value.toFixed(1) : value.toFixed(0)} ms`;

function findingLines({ severity, where, what, priceMs, remedy }: Finding): string[] {
  const price = priceMs.map(({ region, ms: cost }) => `${region} ${ms(cost)}`).join(', ');
  return [
    `  ${severity === 'wrong' ? 'WRONG ' : 'COSTLY'} ${where}: ${what}`,
    ...(price === '' ? [] : [`      price: ${price}`]),
    `      ${remedy}`,
  ];
}
