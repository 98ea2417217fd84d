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

/** Time that stands still until the test moves it. */
export function manualClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  let due: { readonly at: number; readonly call: () => void }[] = [];
  const schedule = (ms: number, call: () => void): (() => void) => {
    const timer = { at: now + ms, call };
    due.push(timer);
    return () => {
      due = due.filter((one) => one !== timer);
    };
  };
  return {
    now: () => now,
    monotonicMs: () => now,
    sleep: (ms) => new Promise((resolve) => void schedule(ms, resolve)),
    schedule,
    advance: (ms) => {
      now += ms;
      const struck = due.filter((timer) => timer.at <= now);
      due = due.filter((timer) => timer.at > now);
      for (const timer of struck) timer.call();
    },
  };
}
