/** One signal for a call: its time limit, the caller's own signal, and which of the two struck. */
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  remainingMs(): number;
  /** The error to throw once `signal` has aborted. */
  error(): MeridianError;
  /** Must be called when the call is over. */
  end(): void;
}

export function startDeadline(
  clock: Clock,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Deadline {
  const controller = new AbortController();
  const endsAt = clock.monotonicMs() + options.timeoutMs;
  const cancel = clock.schedule(options.timeoutMs, () => {
    controller.abort(
      new MeridianError(
        'ERR_DEADLINE_EXCEEDED',
        `not finished within ${String(options.timeoutMs)} ms`,
      ),
    );
  });
  const outer = options.signal;
  const onOuter = (): void => {
    controller.abort(
      new MeridianError('ERR_ABORTED', 'aborted by the caller', { cause: outer?.reason }),
    );
  };
  if (outer?.aborted === true) onOuter();
  else outer?.addEventListener('abort', onOuter, { once: true });
  return {
    signal: controller.signal,
    remainingMs: () => Math.max(0, endsAt - clock.monotonicMs()),
    error: () => controller.signal.reason as MeridianError,
    end: () => {
      cancel();
      outer?.removeEventListener('abort', onOuter);
    },
  };
}
