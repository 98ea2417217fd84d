/** `meridian switchover`: another leader for a replication group, planned, while requests go on. */
import type { Command } from 'commander';
import { MeridianError } from '../../kernel/errors.ts';
import type { CliIo } from '../io.ts';
import { CTRL_C_HELP, runOperation, type OperationFlags } from '../operation-run.ts';

interface Flags extends OperationFlags {
  readonly to?: string;
  readonly region?: string;
  readonly zone?: string;
}

export function addSwitchoverCommand(program: Command, io: CliIo): void {
  program
    .command('switchover')
    .description('Let another voter lead a replication group, without a failed request.')
    .argument('<group>', 'replication group, as `meridian status` names it')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--to <node>', 'the voter that shall lead')
    .option('--region <name>', 'the best voter of this region')
    .option('--zone <name>', 'the best voter of this zone')
    .option('--json', 'print JSON lines: what is planned, each phase, the end')
    .addHelpText(
      'after',
      `\nWith neither, the voter that is nearest to the leader's log.\n${CTRL_C_HELP}` +
        '\n\nExample:\n  $ meridian switchover us-east-1 --zone b',
    )
    .action(async (group: string, flags: Flags) => {
      const { to, region, zone } = flags;
      if (to !== undefined && (region !== undefined || zone !== undefined)) {
        throw new MeridianError(
          'ERR_USAGE',
          '--to names the voter, --region and --zone its place',
          {
            remedy: 'Give --to alone, or the place without it.',
          },
        );
      }
      await runOperation(io, flags, { kind: 'switchover', group, to, region, zone });
    });
}
