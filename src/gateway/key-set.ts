/**
 * The keys of one issuer: fixed ones, and those fetched from its JWKS address.
 *
 * Invariants of fetched keys: none is used longer than `keyAgeMaxMs` after the fetch that brought it;
 * while the issuer answers, one that it took out is used for `keyRefreshMs + keyTimeoutMs` at most;
 * a bad answer (late, long, malformed) changes nothing; at most one fetch runs, and unknown keys cause
 * one per `keyCooldownMs`.
 */
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { firstOf } from '../kernel/signal.ts';
import type { AuthenticationOptions } from './options.ts';

export interface KeySet {
  /** Rises when a key was taken out: what was verified before has to be verified again. */
  readonly generation: number;
  /** False while nothing may be trusted: never fetched, or too long ago. */
  readonly usable: boolean;
  /**
   * The keys, after a fetch when there are none or none has this id. Throws
   * ERR_GATEWAY_KEYS_UNAVAILABLE when it would take keys that cannot be had.
   */
  keysFor(kid: string | undefined): Promise<JWTVerifyGetKey> | JWTVerifyGetKey;
  close(): Promise<void>;
}

export function fixedKeys(keys: JWTVerifyGetKey): KeySet {
  return { generation: 0, usable: true, keysFor: () => keys, close: () => Promise.resolve() };
}

/** Fetches the key set once, within the signal; rejects when the issuer gives none. */
export type FetchKeys = (signal: AbortSignal) => Promise<JSONWebKeySet>;

export interface FetchedKeysOptions {
  /** The issuer's name in the configuration. */
  readonly name: string;
  readonly fetch: FetchKeys;
  readonly timing: Pick<
    AuthenticationOptions,
    'keyRefreshMs' | 'keyCooldownMs' | 'keyTimeoutMs' | 'keyAgeMaxMs'
  >;
  readonly clock: Clock;
  readonly log: Log;
}

interface Loaded {
  readonly keys: JWTVerifyGetKey;
  readonly ids: ReadonlySet<string>;
  /** Canonical text of each key. */
  readonly texts: ReadonlySet<string>;
  readonly atMs: number;
}

/** After a failed fetch, doubled up to the refresh time. */
const RETRY_MS = 1_000;

export class FetchedKeys implements KeySet {
  readonly #options: FetchedKeysOptions;
  #loaded: Loaded | undefined;
  #generation = 0;
  #fetching: Promise<void> | undefined;
  #abort = new AbortController();
  #attemptedAtMs = -Infinity;
  #failures = 0;
  #cancelTimer: () => void = () => {};
  #closed = false;

  /** Begins to fetch at once, and again every `keyRefreshMs`. */
  constructor(options: FetchedKeysOptions) {
    this.#options = options;
    void this.#refresh();
  }

  get generation(): number {
    return this.#generation;
  }

  get usable(): boolean {
    const { clock, timing } = this.#options;
    return (
      this.#loaded !== undefined && clock.monotonicMs() - this.#loaded.atMs <= timing.keyAgeMaxMs
    );
  }

  keysFor(kid: string | undefined): Promise<JWTVerifyGetKey> | JWTVerifyGetKey {
    const known = this.#known(kid);
    if (known !== undefined) return known;
    return this.#keysAfterFetch(kid);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    this.#abort.abort(new MeridianError('ERR_ABORTED', 'the gateway stops'));
    await this.#fetching;
  }

  #known(kid: string | undefined): JWTVerifyGetKey | undefined {
    if (!this.usable || this.#loaded === undefined) return undefined;
    return kid === undefined || this.#loaded.ids.has(kid) ? this.#loaded.keys : undefined;
  }

  async #keysAfterFetch(kid: string | undefined): Promise<JWTVerifyGetKey> {
    const { clock, timing } = this.#options;
    const sinceMs = clock.monotonicMs() - this.#attemptedAtMs;
    if (this.#fetching !== undefined || sinceMs >= timing.keyCooldownMs) await this.#refresh();
    const known = this.#known(kid);
    if (known !== undefined) return known;
    // Usable and lately fetched: then the issuer has no such key, and the keys will say so.
    if (this.usable && this.#loaded !== undefined && this.#failures === 0) return this.#loaded.keys;
    throw new MeridianError(
      'ERR_GATEWAY_KEYS_UNAVAILABLE',
      `the keys of issuer ${this.#options.name} cannot be had at the moment`,
      { retryAfterMs: RETRY_MS },
    );
  }

  /** Never rejects. */
  #refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
      this.#schedule();
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    const { clock, timing, name, log } = this.#options;
    this.#cancelTimer();
    this.#attemptedAtMs = clock.monotonicMs();
    const late = new AbortController();
    const cancel = clock.schedule(timing.keyTimeoutMs, () => {
      late.abort(new MeridianError('ERR_DEADLINE_EXCEEDED', 'the issuer did not answer in time'));
    });
    using either = firstOf(this.#abort.signal, late.signal);
    try {
      this.#take(await this.#options.fetch(either.signal));
      if (this.#failures > 0) log.info('fetched keys again', { issuer: name });
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      if (this.#failures === 1 && !this.#closed) {
        log.warn('cannot fetch keys; keeping what was fetched before', {
          issuer: name,
          reason: messageOf(error),
        });
      }
    } finally {
      cancel();
    }
  }

  #take(set: JSONWebKeySet): void {
    const texts = new Set(set.keys.map((key) => JSON.stringify(key)));
    const before = this.#loaded;
    const removed = before !== undefined && [...before.texts].some((text) => !texts.has(text));
    if (removed) this.#generation += 1;
    this.#loaded = {
      // Imported keys are kept inside: the same set is not imported anew.
      keys:
        before !== undefined && !removed && before.texts.size === texts.size
          ? before.keys
          : createLocalJWKSet(set),
      ids: new Set(set.keys.flatMap((key) => (key.kid === undefined ? [] : [key.kid]))),
      texts,
      atMs: this.#attemptedAtMs,
    };
  }

  #schedule(): void {
    if (this.#closed) return;
    const { clock, timing } = this.#options;
    const retryMs = RETRY_MS * 2 ** Math.min(this.#failures - 1, 5);
    const waitMs = this.#failures === 0 ? timing.keyRefreshMs : retryMs;
    this.#cancelTimer = clock.schedule(Math.min(waitMs, timing.keyRefreshMs), () => {
      void this.#refresh();
    });
  }
}
