/** `meridian restart`: new processes for old ones, one by one, while requests go on. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import type { RestartEvent } from '../../control/restart.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { readControlFile } from '../control-client.ts';
import { formatDuration } from '../duration.ts';
import { requestRestart } from '../event-request.ts';
import { ExitCode, type CliIo } from '../io.ts';
import { EXIT_FORCED } from '../stop-request.ts';

interface Flags {
  readonly config?: string;
  readonly apps?: true;
  readonly gateways?: true;
  readonly region?: string;
  readonly json?: true;
}

export function restartText(event: RestartEvent): string {
  switch (event.kind) {
    case 'begun':
      return `Restarting ${String(event.steps.length)} processes, one after the other.`;
    case 'restarted':
      return `  ${event.name}  ${formatDuration(event.tookMs)}`;
    case 'ended':
      return `${String(event.restarted)} restarted.`;
  }
}

export function addRestartCommand(program: Command, io: CliIo): void {
  program
    .command('restart')
    .description('Replace app servers and gateways one by one, without a lost request.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--apps', 'only app servers')
    .option('--gateways', 'only gateways')
    .option('--region <name>', 'only those of this region')
    .option('--json', 'print JSON lines: what is planned, each step, the end')
    .addHelpText('after', '\nCtrl-C ends it after the step under way.')
    .action(async (flags: Flags) => {
      const { dataDirectory } = await loadConfig({ folder: io.cwd, file: flags.config });
      const control = await readControlFile(dataDirectory);
      const both = flags.apps !== true && flags.gateways !== true;
      const request = {
        apps: both || flags.apps === true,
        gateways: both || flags.gateways === true,
        region: flags.region,
      };
      const stop = new AbortController();
      const unsubscribe = io.onStopSignal(() => {
        stop.abort();
      });
      try {
        await requestRestart(control, request, {
          signal: stop.signal,
          onEvent: (event) => {
            io.stdout.write(
              `${flags.json === true ? JSON.stringify(event) : restartText(event)}\n`,
            );
          },
        });
      } catch (error) {
        if (!isMeridianError(error, 'ERR_ABORTED')) throw error;
        io.stderr.write('meridian: stopped; the step under way is finished, no other is begun.\n');
        throw new ExitCode(EXIT_FORCED);
      } finally {
        unsubscribe();
      }
    });
}
