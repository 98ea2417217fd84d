/** `meridian verify`: a cluster of its own, load, faults, and a check that would notice. */
import { InvalidArgumentError, type Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { FAULT_KINDS, type FaultKind } from '../../verify/nemesis/steps.ts';
import { DEFAULT_GEOGRAPHY, type Geography, type VerifyOptions } from '../../verify/options.ts';
import type { Verified, VerifyServices } from '../../verify/verify.ts';
import { createFileLog } from '../file-log.ts';
import { ExitCode } from '../io.ts';
import { EXIT_FORCED, StopRequest } from '../stop-request.ts';
import type { UpServices } from '../up-run.ts';

interface Flags {
  readonly config?: string;
  readonly seconds: number;
  readonly seed: number;
  readonly faults: readonly FaultKind[];
  readonly layout: 'zone' | 'region';
  readonly scale: number;
  readonly json?: true;
  readonly keep?: true | string;
}

function numberIn(expected: string, accepts: (value: number) => boolean) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !accepts(value)) {
      throw new InvalidArgumentError(`Expected ${expected}.`);
    }
    return value;
  };
}

const seconds = numberIn('seconds, 1 to 86400', (value) => value >= 1 && value <= 86_400);
const seed = numberIn(
  'a whole number from 0 to 4294967295',
  (value) => Number.isInteger(value) && value >= 0 && value < 2 ** 32,
);
const scale = numberIn('a factor from 0 to 10', (value) => value >= 0 && value <= 10);

function faultsOf(text: string): readonly FaultKind[] {
  if (text === 'all') return FAULT_KINDS;
  if (text === 'none') return [];
  const asked = text.split(',').map((name) => name.trim());
  const known: readonly string[] = FAULT_KINDS;
  const unknown = asked.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`Expected all, none, or some of ${FAULT_KINDS.join(', ')}.`);
  }
  return FAULT_KINDS.filter((kind) => asked.includes(kind));
}

function layoutOf(text: string): 'zone' | 'region' {
  if (text === 'zone' || text === 'region') return text;
  throw new InvalidArgumentError('Expected zone or region.');
}

/** The user's regions and distances, where there is a configuration. */
async function geographyOf(folder: string, file: string | undefined): Promise<Geography> {
  try {
    const { regions, primaryRegion, latency } = await loadConfig({ folder, file });
    return { regions, primaryRegion, matrix: latency.matrix };
  } catch (error) {
    if (file !== undefined || !isMeridianError(error, 'ERR_CONFIG_NOT_FOUND')) throw error;
    return DEFAULT_GEOGRAPHY;
  }
}

/** Only when it is needed: other commands stay quick. */
async function runVerification(
  options: VerifyOptions,
  services: VerifyServices,
): Promise<Verified & { readonly json: string }> {
  const [{ verify }, { reportJson }] = await Promise.all([
    import('../../verify/verify.ts'),
    import('../../verify/report.ts'),
  ]);
  const verified = await verify(options, services);
  return { ...verified, json: reportJson(verified.report) };
}

async function runVerify(flags: Flags, { io, clock, startPlatform }: UpServices): Promise<number> {
  const geography = await geographyOf(io.cwd, flags.config);
  const options: VerifyOptions = {
    ...{ seconds: flags.seconds, seed: flags.seed, faults: flags.faults },
    ...{ layout: flags.layout, scale: flags.scale, keep: flags.keep !== undefined },
    folder: typeof flags.keep === 'string' ? flags.keep : undefined,
  };
  using stop = new StopRequest(io, clock);
  try {
    const { json, text, clean } = await runVerification(options, {
      ...{ startPlatform, geography, clock, signal: stop.signal },
      logTo: (file) => createFileLog({ file, level: 'info', clock }),
      onProgress: (line) => {
        io.stderr.write(`${line}\n`);
      },
      onRunning: (kill) => {
        stop.onForce(kill);
      },
    });
    io.stdout.write(flags.json === true ? json : text);
    return clean ? 0 : 1;
  } catch (error) {
    if (stop.signal.aborted && isMeridianError(error, 'ERR_ABORTED')) return EXIT_FORCED;
    throw error;
  }
}

export function addVerifyCommand(program: Command, services: UpServices): void {
  program
    .command('verify')
    .description('Load a cluster of its own, inject faults, and check that every promise was kept.')
    .option('-c, --config <file>', 'take regions and distances from here (default: as `up` does)')
    .option('--seconds <number>', 'how long load and faults last', seconds, 60)
    .option('--seed <number>', 'the same one plans the same load and faults', seed, 1)
    .option(
      '--faults <kinds>',
      `all, none, or some of ${FAULT_KINDS.join(',')}`,
      faultsOf,
      FAULT_KINDS,
    )
    .option('--layout <goal>', 'what it must survive: zone or region', layoutOf, 'zone')
    .option('--scale <factor>', 'multiplies every emulated round trip', scale, 1)
    .option('--keep [folder]', 'keep everything, there or in a temporary folder')
    .option('--json', 'print one JSON object; progress on stderr')
    .addHelpText(
      'after',
      [
        '',
        'The last line says `clean`, with exit code 0, or what is wrong, with exit code 1.',
        '',
        'Examples:',
        '  $ meridian verify --seconds 60 --seed 7',
        '  $ meridian verify --faults kill,partition --layout region',
      ].join('\n'),
    )
    .action(async (flags: Flags) => {
      const code = await runVerify(flags, services);
      if (code !== 0) throw new ExitCode(code);
    });
}
