/** `meridian doctor`: what is in the way on this machine and in this configuration, and what to do. */
import type { Command } from 'commander';
import { CHECKS, findingsOf } from '../../doctor/checks.ts';
import type { RunningFacts } from '../../doctor/facts.ts';
import type { ResolvedConfig } from '../../config/resolved.ts';
import type { Clock } from '../../kernel/clock.ts';
import { systemRandom } from '../../kernel/random.ts';
import { fetchStatus, readControlFile } from '../control-client.ts';
import { countOf, doctorText } from '../doctor-text.ts';
import { ExitCode, type CliIo } from '../io.ts';
import { requestMigration } from '../migration-client.ts';
import type { ControlFile } from '../../platform-api.ts';

const DRY_RUN_TIMEOUT_MS = 5_000;

/** Undefined when it does not answer: it is starting, stopping, or another user's. */
async function ask(config: ResolvedConfig): Promise<Omit<RunningFacts, 'pid'> | undefined> {
  try {
    const control = await readControlFile(config.dataDirectory);
    const { gateways } = await fetchStatus(control);
    return {
      ports: [...gateways.map(({ port }) => port), Number(new URL(control.url).port)],
      lockWarnings: await pendingWarnings(control, config).catch(() => undefined),
    };
  } catch {
    return undefined;
  }
}

async function pendingWarnings(
  control: ControlFile,
  { tables }: ResolvedConfig,
): Promise<RunningFacts['lockWarnings']> {
  let found: RunningFacts['lockWarnings'];
  await requestMigration(
    control,
    { dryRun: true, tables },
    {
      message: (message) => {
        if (message.kind === 'plan') found = message.warnings;
      },
      signal: AbortSignal.timeout(DRY_RUN_TIMEOUT_MS),
    },
  );
  return found;
}

export function addDoctorCommand(
  program: Command,
  services: { readonly io: CliIo; readonly clock: Clock; readonly nodeRequired: string },
): void {
  const { io, clock, nodeRequired } = services;
  program
    .command('doctor')
    .description('Check this machine and the configuration, and say what to do; changes nothing.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', `\n${String(CHECKS.length)} checks; exit code 1 when one of them fails.`)
    .action(async (options: { config?: string; json?: true }) => {
      // Loaded here, with the engine: other commands stay quick.
      const [{ gatherFacts }, { createLocalHost }] = await Promise.all([
        import('../../doctor/probe.ts'),
        import('../../orchestrate/drivers/local.ts'),
      ]);
      const host = createLocalHost(systemRandom);
      const facts = await gatherFacts(
        { ...{ clock, host, nodeRequired, ask }, env: io.env },
        { folder: io.cwd, file: options.config },
      );
      const findings = findingsOf(facts);
      const { warnings, failures } = countOf(findings);
      io.stdout.write(
        options.json === true
          ? `${JSON.stringify({ failures, warnings, findings })}\n`
          : doctorText(findings),
      );
      if (failures > 0) throw new ExitCode(1);
    });
}
