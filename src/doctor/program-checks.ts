/** Checks of the programs that the declaration runs. Pure. */
import type { DeclaredFacts, ProgramFacts } from './facts.ts';
import { failure, ok, warning, type Verdict } from './verdict.ts';

const judge =
  (key: 'app' | 'traffic') =>
  (declared: DeclaredFacts): Verdict | undefined => {
    const found: ProgramFacts | undefined = declared[key];
    if (found === undefined) return undefined;
    const { command, directory, program, missingScript } = found;
    if (!found.directoryExists) {
      return failure(`there is no folder ${directory}`, `Correct ${key}.directory.`);
    }
    if (program === undefined) {
      return failure(
        found.denied ? `${command} may not be executed` : `there is no program ${command}`,
        found.denied
          ? `Make it executable (chmod +x), or correct ${key}.command.`
          : `Install it, or correct ${key}.command.`,
      );
    }
    if (missingScript !== undefined) {
      return warning(
        `there is no ${missingScript} in ${directory}`,
        `Build it, or correct ${key}.command.`,
      );
    }
    return ok(`${program} in ${directory}`);
  };

export const app = judge('app');
export const traffic = judge('traffic');
