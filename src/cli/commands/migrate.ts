/** `meridian migrate`: applies pending migrations to the running platform, or tells what it would do. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import type { MigrationMessage } from '../../control/migration.ts';
import { formatMs } from '../output.ts';
import { readControlFile } from '../control-client.ts';
import { ExitCode, type CliIo } from '../io.ts';
import { requestMigration } from '../migration-client.ts';
import { pendingText, warningText } from '../migration-text.ts';

interface Options {
  readonly config?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

/** A person reads progress on standard error and results on standard output. */
function tellPerson(io: CliIo, message: MigrationMessage, dryRun: boolean): void {
  switch (message.kind) {
    case 'plan':
      io.stdout.write(pendingText(message.pending, dryRun));
      for (const warning of message.warnings) io.stderr.write(warningText(warning));
      return;
    case 'step':
      io.stderr.write(`${message.summary}: done in ${formatMs(message.tookMs)}\n`);
      return;
    case 'done':
      if (!dryRun) io.stdout.write('All migrations are applied.\n');
      return;
    case 'failed': {
      const { error, pending } = message;
      io.stderr.write(`meridian: ${error.message}. ${error.remedy}\n`);
      if (pending.length > 0) io.stderr.write(`Not applied yet:\n${pendingText(pending, true)}`);
      return;
    }
  }
}

async function migrate(io: CliIo, options: Options): Promise<void> {
  const config = await loadConfig({ folder: io.cwd, file: options.config });
  const control = await readControlFile(config.dataDirectory);
  const dryRun = options.dryRun === true;
  const stopped = new AbortController();
  const unsubscribe = io.onStopSignal(() => {
    stopped.abort();
  });
  let failed = false;
  try {
    const request = { dryRun, tables: config.tables };
    await requestMigration(control, request, {
      signal: stopped.signal,
      message: (message) => {
        failed ||= message.kind === 'failed';
        if (options.json === true) io.stdout.write(`${JSON.stringify(message)}\n`);
        else tellPerson(io, message, dryRun);
      },
    });
  } finally {
    unsubscribe();
  }
  if (failed) throw new ExitCode(1);
}

export function addMigrateCommand(program: Command, io: CliIo): void {
  program
    .command('migrate')
    .description('Apply pending migrations to the running platform, while it serves requests.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--dry-run', 'tell what would run where, and what may lock for long; change nothing')
    .option('--json', 'print one JSON object a line: the plan, each step, the end')
    .addHelpText('after', '\nExample:\n  $ meridian migrate --dry-run')
    .action((options: Options) => migrate(io, options));
}
