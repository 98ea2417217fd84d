/**
 * `meridian chaos`: faults on purpose. With `--for` the command stays, and undoes its fault when the
 * time is over or at Ctrl-C, whichever is first.
 */
import type { Command } from 'commander';
import { isLasting } from '../../chaos/faults.ts';
import { loadConfig } from '../../config/load.ts';
import type { ChaosFault } from '../../control/chaos.ts';
import type { Clock } from '../../kernel/clock.ts';
import { MeridianError } from '../../kernel/errors.ts';
import type { ControlFile } from '../../platform-api.ts';
import { healFaults, injectFault, listFaults } from '../chaos-client.ts';
import { faultsText, requestOf, TARGET_FORMS, type ChaosFlags } from '../chaos-text.ts';
import { readControlFile } from '../control-client.ts';
import { parseDuration } from '../duration.ts';
import type { CliIo } from '../io.ts';

interface Flags extends ChaosFlags {
  readonly config?: string;
  readonly for?: number;
  readonly force?: true;
  readonly json?: true;
}

interface Services {
  readonly io: CliIo;
  readonly clock: Clock;
}

async function chaos(
  { io, clock }: Services,
  [action, target]: readonly [string, string | undefined],
  flags: Flags,
): Promise<void> {
  const say = (value: object, text: string): void => {
    io.stdout.write(flags.json === true ? `${JSON.stringify(value)}\n` : text);
  };
  const healed = (faults: readonly ChaosFault[]): void => {
    const text = faults.map(({ id, summary }) => `healed ${id}  ${summary}\n`).join('');
    say({ healed: faults }, text || 'No faults were in force.\n');
  };
  const controlFile = async (): Promise<ControlFile> => {
    const { dataDirectory } = await loadConfig({ folder: io.cwd, file: flags.config });
    return readControlFile(dataDirectory);
  };
  if (action === 'list') {
    const faults = await listFaults(await controlFile());
    say({ faults }, faultsText(faults, clock.now()));
    return;
  }
  if (action === 'heal') {
    healed(await healFaults(await controlFile(), target));
    return;
  }
  if (target === undefined) {
    throw new MeridianError('ERR_USAGE', `${action} needs a target`, {
      remedy: `Write ${TARGET_FORMS}.`,
    });
  }
  const request = requestOf(action, target, flags);
  if (flags.for !== undefined && !isLasting(request)) {
    throw new MeridianError('ERR_USAGE', `${action} ${target} is over at once`, {
      remedy: 'Leave --for out, or name a node, a zone or a region.',
    });
  }
  const control = await controlFile();
  // From here on, so that a Ctrl-C right after the fault is not lost.
  const stop = new AbortController();
  const unsubscribe = io.onStopSignal(() => {
    stop.abort();
  });
  try {
    const fault = await injectFault(control, request, { force: flags.force });
    say({ fault }, `${fault.lasting ? fault.id : 'done'}  ${fault.summary}\n`);
    if (flags.for === undefined) return;
    await clock.sleep(flags.for, stop.signal).catch(() => {});
    healed(await healFaults(control, fault.id));
  } finally {
    unsubscribe();
  }
}

export function addChaosCommand(program: Command, services: Services): void {
  program
    .command('chaos')
    .description('Make a fault on purpose in the running platform, list those in force, heal them.')
    .argument('<action>', 'kill, stop, restart, partition, slow, skew, fill-disk, list or heal')
    .argument('[target]', `${TARGET_FORMS}; of heal, a fault (default: all)`)
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--to <place>', "the link's other end: REGION or REGION/ZONE (default: everywhere)")
    .option('--one-way', 'only what travels from the target')
    .option('--ms <number>', 'slow: added to the round trip; skew: added to the clock')
    .option('--for <duration>', 'heal it after this long, or at Ctrl-C', parseDuration)
    .option('--force', 'also where the database servers are not started by Meridian')
    .option('--json', 'print one JSON object a line')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ meridian chaos kill process:us-east-1.b               it comes back by itself',
        '  $ meridian chaos stop node:us-east-1.b --for 10s        its machine hangs for 10 s',
        '  $ meridian chaos partition zone:us-east/a               cut it off from everything',
        '  $ meridian chaos partition region:us-east --to eu-west --one-way',
        '  $ meridian chaos slow link:us-east..eu-west --ms 250',
        '  $ meridian chaos heal                                   all is well again',
      ].join('\n'),
    )
    .action((action: string, target: string | undefined, flags: Flags) =>
      chaos(services, [action, target], flags),
    );
}
