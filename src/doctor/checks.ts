/**
 * The registry of checks: one line each, in the order in which they are shown. Pure: facts in, verdicts
 * out. docs/reference/doctor.md has a row for each, and a test compares the two.
 */
import type { DeclaredFacts, Facts } from './facts.ts';
import { isFault } from './facts.ts';
import * as configuration from './configuration-checks.ts';
import * as data from './data-checks.ts';
import * as machine from './machine-checks.ts';
import * as network from './network-checks.ts';
import * as programs from './program-checks.ts';
import type { Area, Finding, Verdict } from './verdict.ts';

export interface Check {
  readonly name: string;
  readonly area: Area;
  /** None: there is nothing to say, as without a configuration. */
  readonly judge: (facts: Facts) => readonly Verdict[];
}

type Judged = Verdict | readonly Verdict[] | undefined;

function check(name: string, area: Area, judge: (facts: Facts) => Judged): Check {
  return { name, area, judge: (facts) => listed(judge(facts)) };
}

/** Of a configuration that loads. */
function declared(
  name: string,
  area: Area,
  judge: (declared: DeclaredFacts, facts: Facts) => Judged,
): Check {
  return check(name, area, (facts) =>
    isFault(facts.declared) ? undefined : judge(facts.declared, facts),
  );
}

function listed(judged: Judged): readonly Verdict[] {
  if (judged === undefined) return [];
  return 'status' in judged ? [judged] : judged;
}

export const CHECKS: readonly Check[] = [
  check('node', 'machine', machine.nodeVersion),
  check('system', 'machine', machine.system),
  check('clock', 'machine', machine.clock),
  check('open-files', 'machine', machine.openFiles),
  check('memory', 'machine', machine.memory),
  check('configuration', 'configuration', configuration.loads),
  declared('survival', 'configuration', configuration.survival),
  declared('tenant-fence', 'configuration', configuration.tenantFence),
  declared('durability', 'configuration', configuration.durability),
  declared('migrations', 'configuration', configuration.migrations),
  declared('tables', 'configuration', configuration.tables),
  declared('locks', 'configuration', configuration.locks),
  declared('engine-programs', 'engine', data.enginePart('programs')),
  declared('engine-account', 'engine', data.enginePart('account')),
  declared('engine-storage', 'engine', data.enginePart('storage')),
  declared('engine-data', 'engine', data.enginePart('data')),
  declared('engine-kernel', 'engine', data.enginePart('kernel')),
  declared('data-directory', 'data', data.directory),
  declared('data-documents', 'data', data.documents),
  declared('disk', 'data', data.disk),
  declared('supervisor', 'data', data.supervisor),
  declared('ports', 'network', network.ports),
  declared('exposure', 'network', network.exposure),
  declared('proxies', 'network', network.proxies),
  declared('keys', 'network', network.keys),
  declared('app', 'programs', programs.app),
  declared('traffic', 'programs', programs.traffic),
];

/** Every check's findings, in order. */
export function findingsOf(facts: Facts): Finding[] {
  return CHECKS.flatMap(({ name, area, judge }) =>
    judge(facts).map((verdict) => ({ check: name, area, ...verdict })),
  );
}
