/** The doctor's findings as a person reads them: grouped, one line each, the remedy below. Pure. */
import type { Area, Finding } from '../doctor/verdict.ts';

const TITLES: Readonly<Record<Area, string>> = {
  machine: 'Machine',
  configuration: 'Configuration',
  engine: 'Database engine',
  data: 'Data',
  network: 'Network',
  programs: 'Programs',
};

const MARKS: Readonly<Record<Finding['status'], string>> = {
  ok: 'ok     ',
  warning: 'warning',
  failure: 'FAILURE',
};

export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length));
  const indent = ' '.repeat(2 + 7 + 2 + width + 2);
  const areas = [...new Set(findings.map(({ area }) => area))];
  const lines = areas.flatMap((area) => [
    TITLES[area],
    ...findings
      .filter((one) => one.area === area)
      .flatMap((one) => findingLines(one, { width, indent })),
    '',
  ]);
  return `${[...lines, conclusion(findings)].join('\n')}\n`;
}

function findingLines(
  finding: Finding,
  { width, indent }: { readonly width: number; readonly indent: string },
): string[] {
  const head = `  ${MARKS[finding.status]}  ${finding.check.padEnd(width)}  `;
  const text = finding.found.replaceAll('\n', `\n${indent}`);
  return [`${head}${text}`, ...(finding.status === 'ok' ? [] : [`${indent}→ ${finding.remedy}`])];
}

export function countOf(findings: readonly Finding[]): { warnings: number; failures: number } {
  const count = (status: Finding['status']): number =>
    findings.filter((one) => one.status === status).length;
  return { warnings: count('warning'), failures: count('failure') };
}

function conclusion(findings: readonly Finding[]): string {
  const { warnings, failures } = countOf(findings);
  const some = (count: number, what: string): string =>
    `${String(count)} ${what}${count === 1 ? '' : 's'}`;
  if (failures > 0) return `${some(failures, 'failure')}, ${some(warnings, 'warning')}.`;
  return warnings > 0 ? `Nothing is in the way; ${some(warnings, 'warning')}.` : 'All is well.';
}
