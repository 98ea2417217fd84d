/** `meridian apply`: does what `meridian plan` says. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { runApply } from '../apply-run.ts';
import type { OperationFlags } from '../operation-run.ts';
import type { UpServices } from '../up-run.ts';

export function addApplyCommand(program: Command, services: UpServices): void {
  const { io } = services;
  program
    .command('apply')
    .description('Put a changed configuration into force: what `meridian plan` says, step by step.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print JSON lines: the steps, progress, the end')
    .addHelpText(
      'after',
      '\nRegions that are left out are drained first, while everything serves; then `meridian up` stops and starts\n' +
        'with the changed file: requests wait or are refused for as long as that takes. What is refused is not begun.' +
        '\n\nCtrl-C stops watching. What is under way goes on; the same command again goes on from there.' +
        '\n\nExamples:\n  $ meridian plan && meridian apply',
    )
    .action(async (flags: OperationFlags) => {
      const config = await loadConfig({ folder: io.cwd, file: flags.config });
      await runApply(config, services, flags.json === true);
    });
}
