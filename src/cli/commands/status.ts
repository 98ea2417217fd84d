/** `meridian status`: the whole platform at one moment, or again and again. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { systemClock } from '../../kernel/clock.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { fetchStatus, readControlFile } from '../control-client.ts';
import type { CliIo } from '../io.ts';
import { statusText } from '../status-text.ts';

const WATCH_INTERVAL_MS = 2_000;
const CLEAR_SCREEN = '\u001b[2J\u001b[H';

async function showOnce(dataDirectory: string, json: boolean): Promise<string> {
  // Read each time: a platform that was restarted has another address and token.
  const report = await fetchStatus(await readControlFile(dataDirectory));
  return json ? `${JSON.stringify(report)}\n` : statusText(report);
}

async function watch(io: CliIo, dataDirectory: string, json: boolean): Promise<void> {
  const stopped = new AbortController();
  const unsubscribe = io.onStopSignal(() => {
    stopped.abort();
  });
  try {
    while (!stopped.signal.aborted) {
      const text = await showOnce(dataDirectory, json);
      io.stdout.write(io.stdout.isTTY === true && !json ? CLEAR_SCREEN + text : text);
      await systemClock.sleep(WATCH_INTERVAL_MS, stopped.signal);
    }
  } catch (error) {
    if (!isMeridianError(error, 'ERR_ABORTED')) throw error;
  } finally {
    unsubscribe();
  }
}

export function addStatusCommand(program: Command, io: CliIo): void {
  program
    .command('status')
    .description('Show regions, groups, leaders, nodes with their lag, gateways and app servers.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print one JSON object (one a line with --watch)')
    .option('-w, --watch', 'show it again every two seconds until Ctrl-C')
    .addHelpText('after', '\nExample:\n  $ meridian status --json | jq .groups')
    .action(async (options: { config?: string; json?: true; watch?: true }) => {
      const { dataDirectory } = await loadConfig({ folder: io.cwd, file: options.config });
      const json = options.json === true;
      if (options.watch === true) {
        await watch(io, dataDirectory, json);
      } else {
        io.stdout.write(await showOnce(dataDirectory, json));
      }
    });
}
