/** Abort signals at asynchronous edges: who gives up is told at once, and of what. */
import { setMaxListeners } from 'node:events';
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

/** A signal made of others; to be let go of when nobody waits any more. */
export interface FirstAborted extends Disposable {
  readonly signal: AbortSignal;
}

/**
 * Aborts with the first that does, and its reason. `AbortSignal.any` is not for what is made again and again:
 * in Node 20 a signal that lives as long as its process keeps every one that was ever made of it.
 */
export function firstOf(...signals: readonly (AbortSignal | undefined)[]): FirstAborted {
  const controller = new AbortController();
  const links: (() => void)[] = [];
  for (const source of signals) {
    if (source === undefined) continue;
    const follow = (): void => {
      controller.abort(source.reason);
    };
    // As many as there is work under way: no leak, which is what Node would warn of at eleven.
    setMaxListeners(0, source);
    if (source.aborted) follow();
    source.addEventListener('abort', follow, { once: true });
    links.push(() => {
      source.removeEventListener('abort', follow);
    });
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const unlink of links.splice(0)) unlink();
    },
  };
}
