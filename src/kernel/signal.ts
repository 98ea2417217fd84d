/** Abort signals at asynchronous edges: who gives up is told at once, and of what. */
import { MeridianError } from './errors.ts';

/**
 * The promise's outcome, or ERR_ABORTED naming `what` as soon as the signal aborts. What was begun
 * goes on behind the caller's back, so it must end by itself.
 */
export async function orAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  what: string,
): Promise<T> {
  if (signal === undefined) return promise;
  let giveUp = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    giveUp = () => {
      reject(new MeridianError('ERR_ABORTED', `aborted while ${what}`, { cause: signal.reason }));
    };
  });
  if (signal.aborted) giveUp();
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', giveUp);
    promise.catch(() => {});
  }
}
