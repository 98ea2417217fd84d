/** `meridian drain`: everything leaves a region while it is used, so that the declaration can leave it out. */
import type { Command } from 'commander';
import type { CliIo } from '../io.ts';
import { runOperation, type OperationFlags } from '../operation-run.ts';

interface Flags extends OperationFlags {
  readonly cancel?: true;
}

export function addDrainCommand(program: Command, io: CliIo): void {
  program
    .command('drain')
    .description('Take all accounts out of a region, and let no new ones in.')
    .argument('<region>', 'any but the primary region')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--cancel', 'the region stays: it takes accounts again, those that have gone stay away')
    .option('--json', 'print JSON lines: progress in accounts, the end')
    .addHelpText(
      'after',
      '\nEach account goes where it is nearest to its clients, a thousand at a time, without a failed request;\n' +
        'accounts that are opened in the region meanwhile are put into the nearest other one. When it is drained the\n' +
        'configuration may leave the region out: meridian apply does both.' +
        '\n\nCtrl-C stops watching: the region goes on being drained, over restarts too, until --cancel.' +
        '\n\nExamples:\n  $ meridian drain ap-south\n  $ meridian drain ap-south --cancel',
    )
    .action(async (region: string, flags: Flags) => {
      const kind = flags.cancel === true ? 'restore' : 'drain';
      await runOperation(io, flags, { kind, region });
    });
}
