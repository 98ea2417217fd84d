/**
 * What bootstrap itself has to say goes to standard error, so that standard output carries only the
 * output of the command that was asked for (`npm start -- --json | tail -1` must be JSON).
 */

/** A failure that is explained by its one sentence; anything else that is thrown is a bug. */
export class BootstrapError extends Error {}

export function say(sentence) {
  process.stderr.write(`meridian: ${sentence}\n`);
}

/** Turns a refused write into a sentence; hands every other error through. */
export function explainWrite(error, path) {
  if (['EACCES', 'EPERM', 'EROFS'].includes(error?.code)) {
    return new BootstrapError(
      `cannot write to ${path} (${error.code}): ` +
        'run as the owner of this folder, or clone it to where you may write.',
    );
  }
  if (['EEXIST', 'ENOTDIR'].includes(error?.code)) {
    return new BootstrapError(
      `${path} is in the way and is no folder: remove it and run it again.`,
    );
  }
  if (error?.code === 'ENOSPC') {
    return new BootstrapError(`no space is left to write ${path}: free some and run it again.`);
  }
  return error;
}
