/**
 * The WAN with latency off: no proxies, everybody dials the target itself. Nothing to cut, so cuts are
 * refused rather than silently without effect.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { Wan } from './link.ts';

export function directLinks(): Wan {
  const uncuttable = (): Promise<never> =>
    Promise.reject(
      new MeridianError('ERR_ENGINE_UNSUPPORTED', 'links cannot be cut with latency off', {
        remedy: 'Configure a latency other than off, so that links go through the emulated WAN.',
      }),
    );
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    link: ({ target }) => Promise.resolve(target),
    // Whoever asks for the link again gets the new address; there is no old one to keep alive.
    retarget: () => Promise.resolve(),
    cut: uncuttable,
    heal: () => Promise.resolve(),
    impose: ({ cuts, slows }) =>
      cuts.length + slows.length === 0 ? Promise.resolve() : uncuttable(),
    links: () => Promise.resolve([]),
    ended,
    [Symbol.asyncDispose]: () => {
      end();
      return Promise.resolve();
    },
  };
}
