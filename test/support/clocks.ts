/** Real clocks with something added, for tests of things that wait. */
import { systemClock, type Clock } from '../../src/kernel/clock.ts';

/** Time that runs `factor` times as fast. */
export function fastClock(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    monotonicMs: () => systemClock.monotonicMs() * factor,
    sleep: (ms, signal) => systemClock.sleep(ms / factor, signal),
    schedule: (ms, call) => systemClock.schedule(ms / factor, call),
  };
}

/** Counts the timers that are armed, so that a test sees those left behind. */
export function countingClock(base: Clock = systemClock): Clock & { readonly armed: number } {
  const clock = {
    ...base,
    armed: 0,
    schedule: (ms: number, call: () => void) => {
      let live = true;
      clock.armed += 1;
      const end = (): void => {
        if (live) clock.armed -= 1;
        live = false;
      };
      const cancel = base.schedule(ms, () => {
        end();
        call();
      });
      return () => {
        end();
        cancel();
      };
    },
  };
  return clock;
}
