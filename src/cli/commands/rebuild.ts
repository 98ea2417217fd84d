/** `meridian rebuild`: a replica's data, copied anew from the rest of its group. */
import type { Command } from 'commander';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation, type OperationFlags } from '../operation-run.ts';

export function addRebuildCommand(program: Command, io: CliIo): void {
  program
    .command('rebuild')
    .description('Discard the data of a replica and copy it anew from the rest of its group.')
    .argument('<node>', 'database server, as `meridian status` names it')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print JSON lines: what is planned, each phase, progress in bytes, the end')
    .addHelpText('after', `\n${CTRL_C_HELP}\n\nExample:\n  $ meridian rebuild us-east-1.b`)
    .action((node: string, flags: OperationFlags) =>
      runOperation(io, flags, { kind: 'rebuild', node }),
    );
}
