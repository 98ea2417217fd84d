/** `meridian rehome`: accounts go to another region, from wherever they are. */
import type { Command } from 'commander';
import { MeridianError } from '../../kernel/errors.ts';
import { accountsFrom, ACCOUNTS_HELP, type AccountFlags } from '../account-list.ts';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation } from '../operation-run.ts';

interface Flags extends AccountFlags {
  readonly to?: string;
  readonly cancel?: string;
  readonly residency?: string;
}

export function addRehomeCommand(program: Command, io: CliIo): void {
  program
    .command('rehome')
    .description('Move accounts to another region while they are used, without a failed request.')
    .argument('[accounts...]', 'their ids')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--to <region>', 'the region, or a group that is homed there')
    .option(
      '--residency <name>',
      'pin them to it: every copy of them is in its regions from then on; none: to nothing',
    )
    .option('--from-file <file>', 'a file with one id in each line; - is the standard input')
    .option(
      '--cancel <number>',
      'end a split, merge or re-homing, numbered as in `meridian status`: what has not arrived goes back',
    )
    .option(
      '--json',
      'print JSON lines: what is planned, each phase, progress in accounts, the end',
    )
    .addHelpText(
      'after',
      '\nThey are split off together, moved as one range, and put beside the accounts that are there.\n' +
        `${ACCOUNTS_HELP}\n${CTRL_C_HELP}` +
        '\n\nExamples:\n  $ meridian rehome alice bob --to ap-south\n  $ meridian rehome --cancel 3',
    )
    .action(async (ids: readonly string[], flags: Flags) => {
      const { to, cancel } = flags;
      if (cancel !== undefined) {
        if (to !== undefined || ids.length > 0 || flags.fromFile !== undefined) {
          throw new MeridianError(
            'ERR_USAGE',
            '--cancel takes the number of a transfer, and no more',
          );
        }
        await runOperation(io, flags, { kind: 'cancel-transfer', number: cancel });
        return;
      }
      if (to === undefined)
        throw new MeridianError('ERR_USAGE', '--to must say where they shall be');
      const accounts = await accountsFrom(io, ids, flags);
      const pin =
        flags.residency === undefined
          ? {}
          : { residency: flags.residency === 'none' ? null : flags.residency, repin: true };
      await runOperation(io, flags, { kind: 'rehome', accounts, to, ...pin });
    });
}
