/**
 * `meridian recover`: opens a group that lost its quorum for good from what is left of it. What may be
 * lost is stated first, and accepted by a second call.
 */
import type { Command } from 'commander';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation, type OperationFlags } from '../operation-run.ts';

interface Flags extends OperationFlags {
  readonly acceptLoss?: true;
}

export function addRecoverCommand(program: Command, io: CliIo): void {
  program
    .command('recover')
    .description(
      'Say what opening a group from what is left of it would lose; do it when accepted.',
    )
    .argument('<group>', 'replication group, as `meridian status` names it')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--accept-loss', 'do it; what is not on the servers that are left is lost for good')
    .option('--json', 'print JSON lines: what is planned, each phase, the end')
    .addHelpText(
      'after',
      `\nWithout --accept-loss nothing is changed, and the exit code is 1.\n${CTRL_C_HELP}` +
        '\n\nExample:\n  $ meridian recover us-east-1',
    )
    .action((group: string, flags: Flags) =>
      runOperation(io, flags, { kind: 'recover', group, acceptLoss: flags.acceptLoss === true }),
    );
}
