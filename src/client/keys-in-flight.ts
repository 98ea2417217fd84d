/**
 * Keys whose transactions this process has under way. A second call with the same key would wait for
 * the first in the database, on a connection that others need; it waits here instead, then finds the
 * answer. It bounds nothing and promises nothing: the database decides.
 */
import type { Deadline } from './deadline.ts';
import type { Keyed } from './idempotency.ts';

export class KeysInFlight {
  readonly #calls = new Map<string, Promise<void>>();

  /** Waits for the call that has the key, if any. Returns what to call at the end. */
  async enter({ account, key }: Keyed, deadline: Deadline): Promise<() => void> {
    const name = `${account}\n${key}`;
    const before = this.#calls.get(name);
    if (before !== undefined) {
      await endOf(before, deadline);
      return () => {};
    }
    let leave = (): void => {};
    this.#calls.set(
      name,
      new Promise((resolve) => {
        leave = () => {
          this.#calls.delete(name);
          resolve();
        };
      }),
    );
    return leave;
  }
}

function endOf(call: Promise<void>, { signal, error }: Deadline): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      reject(error());
    };
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    void call.then(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    });
  });
}
