/** Program: the load driver. Exit code 0 only without errors and with every account balanced. */
import { drive } from './load/drive.ts';
import { parseDriveOptions, USAGE, type DriveOptions } from './load/options.ts';
import { platformFromEnvironment } from './load/regions.ts';
import { exitCodeOf, formatSummary } from './load/report.ts';

async function main(options: DriveOptions): Promise<number> {
  const stop = new AbortController();
  const onSignal = (): void => {
    // Asked twice: leave at once, without verification.
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const out = options.json ? process.stderr : process.stdout;
  const platform = platformFromEnvironment(process.env);
  const summary = await drive(options, { platform, stop: stop.signal, out });
  process.stdout.write(`${options.json ? JSON.stringify(summary) : formatSummary(summary)}\n`);
  return exitCodeOf(summary);
}

try {
  const options = parseDriveOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else process.exitCode = await main(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
