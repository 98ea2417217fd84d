/** `meridian split`: accounts of a range get one of their own. */
import type { Command } from 'commander';
import { accountsFrom, ACCOUNTS_HELP, type AccountFlags } from '../account-list.ts';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation } from '../operation-run.ts';

export function addSplitCommand(program: Command, io: CliIo): void {
  program
    .command('split')
    .description('Put accounts of a range into a new range of the same group, while they are used.')
    .argument('<range>', 'range, as `meridian status` names it')
    .argument('[accounts...]', 'their ids')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--from-file <file>', 'a file with one id in each line; - is the standard input')
    .option(
      '--json',
      'print JSON lines: what is planned, each phase, progress in accounts, the end',
    )
    .addHelpText(
      'after',
      `\nWriters of the range wait while rows are rewritten, 200 accounts at a time.\n${ACCOUNTS_HELP}\n${CTRL_C_HELP}` +
        '\n\nExample:\n  $ meridian split r0001 alice bob',
    )
    .action(async (range: string, ids: readonly string[], flags: AccountFlags) => {
      const accounts = await accountsFrom(io, ids, flags);
      await runOperation(io, flags, { kind: 'split', range, accounts });
    });
}
