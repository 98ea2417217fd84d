/** `meridian up`: the whole platform in the foreground, until Ctrl-C. */
import { InvalidArgumentError, type Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { parseDuration } from '../duration.ts';
import { ExitCode } from '../io.ts';
import { runUp, type UpServices } from '../up-run.ts';

interface Flags {
  readonly config?: string;
  readonly fresh?: true;
  readonly traffic?: true;
  readonly for?: number;
  readonly rate?: string;
  readonly seed?: string;
  readonly json?: true;
  readonly quiet?: true;
}

/** Checked here, handed on as written. */
function numberText(expected: string, accepts: (value: number) => boolean) {
  return (text: string): string => {
    if (text.trim() === '' || !accepts(Number(text))) {
      throw new InvalidArgumentError(`Expected ${expected}.`);
    }
    return text;
  };
}

const rate = numberText('requests per second, above 0', (value) => value > 0 && value <= 1e6);
const seed = numberText(
  'a whole number from 0 to 4294967295',
  (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
);

function checkFlags(flags: Flags): void {
  const needsTraffic = (['rate', 'seed'] as const).find((name) => flags[name] !== undefined);
  if (needsTraffic !== undefined && flags.traffic !== true) {
    throw new MeridianError('ERR_USAGE', `--${needsTraffic} is for the traffic program`, {
      remedy: 'Add --traffic, or leave it out.',
    });
  }
}

export function addUpCommand(program: Command, services: UpServices): void {
  program
    .command('up')
    .description('Start every region on this machine and serve requests until Ctrl-C.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--fresh', 'discard existing data first')
    .option('--traffic', "run the configuration's traffic program; end when it ends")
    .option('--for <duration>', 'end after this long: 500ms, 30s, 5m, 1h', parseDuration)
    .option('--rate <number>', 'requests per second in total, for the traffic program', rate)
    .option('--seed <number>', 'seed of the traffic program: the same one repeats a run', seed)
    .option('--json', 'print JSON lines on stdout, the summary last; progress on stderr')
    .option('-q, --quiet', 'print nothing but failures and the summary')
    .addHelpText(
      'after',
      [
        '',
        'Ctrl-C stops everything in order and keeps the data; a second one ends it at once.',
        '',
        'Examples:',
        '  $ meridian up                              until Ctrl-C',
        '  $ meridian up --fresh                      from nothing',
        '  $ meridian up --traffic --for 30s --json   a measured run',
      ].join('\n'),
    )
    .action(async (flags: Flags) => {
      checkFlags(flags);
      const config = await loadConfig({ folder: services.io.cwd, file: flags.config });
      const code = await runUp(
        config,
        {
          fresh: flags.fresh === true,
          traffic: flags.traffic === true,
          json: flags.json === true,
          quiet: flags.quiet === true,
          forMs: flags.for,
          rate: flags.rate,
          seed: flags.seed,
        },
        services,
      );
      if (code !== 0) throw new ExitCode(code);
    });
}
