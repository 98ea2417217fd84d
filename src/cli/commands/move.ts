/** `meridian move`: a range goes to another replication group, while it is used. */
import type { Command } from 'commander';
import { MeridianError } from '../../kernel/errors.ts';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation, type OperationFlags } from '../operation-run.ts';

interface Flags extends OperationFlags {
  readonly to?: string;
  readonly cancel?: true;
}

export function addMoveCommand(program: Command, io: CliIo): void {
  program
    .command('move')
    .description('Move a range of accounts to another replication group, without a failed request.')
    .argument('<range>', 'range, as `meridian status` names it')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--to <group>', 'the group that shall have it, or the region that one is homed in')
    .option('--cancel', 'end its move: the range stays where it was')
    .option('--json', 'print JSON lines: what is planned, each phase, progress in bytes, the end')
    .addHelpText(
      'after',
      '\nWrites wait while it is handed over, for as long as it takes to reach the other group; the\n' +
        `copying before takes as long as the range is large, and nobody waits for it.\n${CTRL_C_HELP}` +
        '\n\nExample:\n  $ meridian move r0004 --to eu-west',
    )
    .action(async (range: string, flags: Flags) => {
      const { to, cancel } = flags;
      if (to === undefined ? cancel !== true : cancel === true) {
        throw new MeridianError('ERR_USAGE', 'either --to says where, or --cancel ends the move');
      }
      await runOperation(
        io,
        flags,
        to === undefined ? { kind: 'cancel-move', range } : { kind: 'move', range, to },
      );
    });
}
