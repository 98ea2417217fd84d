/** `meridian merge`: a range that a split has made goes into another one. */
import type { Command } from 'commander';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation, type OperationFlags } from '../operation-run.ts';

export function addMergeCommand(program: Command, io: CliIo): void {
  program
    .command('merge')
    .description(
      'Put all accounts of a range that a split has made into another range of its group.',
    )
    .argument('<range>', 'range that shall go, as `meridian status` names it')
    .requiredOption('--into <range>', 'range of the same group that shall have its accounts')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option(
      '--json',
      'print JSON lines: what is planned, each phase, progress in accounts, the end',
    )
    .addHelpText(
      'after',
      `\nIts writers wait while rows are rewritten, 200 accounts at a time.\n${CTRL_C_HELP}` +
        '\n\nExample:\n  $ meridian merge s0001 --into r0001',
    )
    .action(async (range: string, flags: OperationFlags & { readonly into: string }) => {
      await runOperation(io, flags, { kind: 'merge', range, into: flags.into });
    });
}
