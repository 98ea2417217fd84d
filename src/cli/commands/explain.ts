/** `meridian explain account`: where an account lives, why, and what would have to change. */
import { Argument, type Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import type { AccountExplanation } from '../../control/placement.ts';
import { readControlFile, requestControl } from '../control-client.ts';
import type { CliIo } from '../io.ts';
import type { OperationFlags } from '../operation-run.ts';
import { explanationLines } from '../placement-text.ts';

export function addExplainCommand(program: Command, io: CliIo): void {
  program
    .command('explain')
    .description('Say where an account lives, why, and what would have to change for it to move.')
    .addArgument(new Argument('<what>', 'what is to be explained').choices(['account']))
    .argument('<id>', 'its id')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print it as JSON')
    .addHelpText('after', '\nExample:\n  $ meridian explain account alice')
    .action(async (_what: string, id: string, flags: OperationFlags) => {
      const { dataDirectory } = await loadConfig({ folder: io.cwd, file: flags.config });
      const control = await readControlFile(dataDirectory);
      const path = `/v1/account?id=${encodeURIComponent(id)}`;
      const told = (await requestControl(control, path)) as AccountExplanation;
      io.stdout.write(
        flags.json === true
          ? `${JSON.stringify(told, undefined, 2)}\n`
          : `${explanationLines(told).join('\n')}\n`,
      );
    });
}
