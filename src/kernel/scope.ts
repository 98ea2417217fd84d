/**
 * Ordered ownership: everything started is pushed here, and is stopped in reverse order, once,
 * whoever asks and however often. A failing release does not keep the others from running; the
 * failures arrive together as one AggregateError.
 */
import { MeridianError } from './errors.ts';

export type Release = () => PromiseLike<void> | void;

interface Owned {
  readonly name: string;
  readonly release: Release;
}

export class Scope implements AsyncDisposable {
  readonly #releases: Owned[] = [];
  #closing: Promise<void> | undefined;

  /** True from the first call of `close`. */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Owns a release. Pushed after `close` began, the release still runs: nothing started late leaks.
   */
  push(name: string, release: Release): void {
    if (this.#closing !== undefined) {
      this.#closing = this.#releaseLate(this.#closing, { name, release });
      // The late pusher learns of failures through close(), which every owner awaits.
      this.#closing.catch(() => {});
      return;
    }
    this.#releases.push({ name, release });
  }

  /** Owns a disposable and hands it back. */
  use<T extends AsyncDisposable>(name: string, resource: T): T {
    this.push(name, () => resource[Symbol.asyncDispose]());
    return resource;
  }

  close(): Promise<void> {
    this.#closing ??= this.#releaseAll();
    return this.#closing;
  }

  async #releaseAll(): Promise<void> {
    const failures: unknown[] = [];
    for (let item = this.#releases.pop(); item !== undefined; item = this.#releases.pop()) {
      await releaseOne(item, failures);
    }
    throwTogether(failures);
  }

  /** Runs even when what was released before has failed. */
  async #releaseLate(before: Promise<void>, item: Owned): Promise<void> {
    const failures: unknown[] = [];
    await before.catch((failure: unknown) => failures.push(failure));
    await releaseOne(item, failures);
    throwTogether(failures);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function releaseOne(item: Owned, failures: unknown[]): Promise<void> {
  try {
    await item.release();
  } catch (cause) {
    failures.push(new MeridianError('ERR_STOP_FAILED', `could not stop ${item.name}`, { cause }));
  }
}

function throwTogether(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) {
    throw new AggregateError(failures, `${String(failures.length)} parts could not be stopped`);
  }
}
