/** `meridian plan`: what a changed declaration would do, cost and gain, before anything of it is done. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { declaredPlacement } from '../../config/resolve.ts';
import type { PlacementFacts } from '../../control/placement.ts';
import type { PlacementPlan } from '../../placement/plan/plan.ts';
import { fetchStatus, readControlFile, requestControl } from '../control-client.ts';
import { ExitCode, type CliIo } from '../io.ts';
import type { OperationFlags } from '../operation-run.ts';
import { planFrom } from '../placed-plan.ts';
import { planLines } from '../plan-text.ts';

interface Flags extends OperationFlags {
  readonly check?: boolean;
}

export function addPlanCommand(program: Command, io: CliIo): void {
  program
    .command('plan')
    .description('Say what a changed configuration would do, cost and gain; nothing is done.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option(
      '--check',
      'exit with 1 if something is refused, wrong, otherwise than declared, or not known',
    )
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      '\nIt compares the file with what runs: steps and bytes; what requests of each region wait for distance,\n' +
        'before and after; what is otherwise than declared; and what keys, references and declared statements\n' +
        'cost between regions, or cannot do.' +
        '\n\nExamples:\n  $ meridian plan\n  $ meridian plan --check',
    )
    .action(async (flags: Flags) => {
      const config = await loadConfig({ folder: io.cwd, file: flags.config });
      const control = await readControlFile(config.dataDirectory);
      const { statements } = config;
      const [facts, status] = await Promise.all([
        requestControl(control, '/v1/placement', { statements }) as Promise<PlacementFacts>,
        fetchStatus(control),
      ]);
      const plan = planFrom({ after: declaredPlacement(config), facts, status });
      io.stdout.write(
        flags.json === true
          ? `${JSON.stringify({ ...plan, missing: facts.missing }, undefined, 2)}\n`
          : `${planLines(plan, facts.missing).join('\n')}\n`,
      );
      // What could not be looked at was not checked.
      const amiss = isAmiss(plan) || facts.missing.length > 0;
      if (flags.check === true && amiss) throw new ExitCode(1);
    });
}

function isAmiss({ refusals, findings, drift }: PlacementPlan): boolean {
  const wrong = findings.some(({ severity }) => severity === 'wrong');
  return refusals.length > 0 || wrong || drift.length > 0;
}
