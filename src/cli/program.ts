/**
 * The command line as data: commands, options, help. `runCli` gives an exit code and throws nothing;
 * it never ends the process, so that tests run it in theirs.
 */
import { Command, CommanderError } from 'commander';
import { MeridianError } from '../kernel/errors.ts';
import { ownVersion, requiredNode } from '../kernel/version.ts';
import { addApplyCommand } from './commands/apply.ts';
import { addChaosCommand } from './commands/chaos.ts';
import { addConfigCommand } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addDrainCommand } from './commands/drain.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addMergeCommand } from './commands/merge.ts';
import { addMoveCommand } from './commands/move.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addRebuildCommand } from './commands/rebuild.ts';
import { addRecoverCommand } from './commands/recover.ts';
import { addRehomeCommand } from './commands/rehome.ts';
import { addRestartCommand } from './commands/restart.ts';
import { addSplitCommand } from './commands/split.ts';
import { addStatusCommand } from './commands/status.ts';
import { addSwitchoverCommand } from './commands/switchover.ts';
import { addUpCommand } from './commands/up.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { ExitCode } from './io.ts';
import { reportError } from './output.ts';
import type { UpServices } from './up-run.ts';

export function createProgram(services: UpServices): Command {
  const { io, clock } = services;
  const program = new Command('meridian')
    .description('Run an application in several regions on a distributed SQL database.')
    .version(ownVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // Told by runCli, like every other failure.
      outputError: () => {},
    })
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  $ meridian up                start every region here, until Ctrl-C',
        '  $ meridian status --watch    see it run, in another terminal',
        '  $ meridian config            see what the configuration means',
        '  $ meridian doctor            see what is in the way, and what to do',
      ].join('\n'),
    );
  addUpCommand(program, services);
  addStatusCommand(program, io);
  addMigrateCommand(program, io);
  addRestartCommand(program, io);
  addChaosCommand(program, { io, clock });
  addSwitchoverCommand(program, io);
  addRebuildCommand(program, io);
  addRecoverCommand(program, io);
  addMoveCommand(program, io);
  addExplainCommand(program, io);
  addPlanCommand(program, io);
  addApplyCommand(program, services);
  addDrainCommand(program, io);
  addRehomeCommand(program, io);
  addSplitCommand(program, io);
  addMergeCommand(program, io);
  addConfigCommand(program, io);
  addDoctorCommand(program, { io, clock, nodeRequired: requiredNode() });
  addVerifyCommand(program, services);
  return program;
}

/** Commander's own refusals, in our form. */
function usageError(error: CommanderError): MeridianError {
  const message = error.message.replace(/^error: /, '').replaceAll(/\s*\n\s*/g, ' ');
  return new MeridianError('ERR_USAGE', message);
}

/** `args` without the program's own name. */
export async function runCli(args: readonly string[], services: UpServices): Promise<number> {
  const json = args.includes('--json');
  try {
    await createProgram(services).parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof ExitCode) return error.exitCode;
    if (error instanceof CommanderError) {
      // Help and version have been printed; help in place of a missing command is a refusal.
      if (error.exitCode === 0 || error.code === 'commander.help') return error.exitCode;
      reportError(services.io, usageError(error), json);
      return 1;
    }
    reportError(services.io, error, json);
    return 1;
  }
}
