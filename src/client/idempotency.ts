/**
 * Idempotency keys: a transaction with a key takes effect once, however often it is sent.
 *
 * The claim of the key is the first statement of the transaction itself, and travels with the opening
 * batch and the function's first statement. What the function returned is kept beside the key before
 * COMMIT, in the same flight. So key, answer and effect are committed together or not at all, and a
 * commit of unknown outcome resolves itself: the transaction is sent again, and its claim either finds
 * the key (it was committed: the kept answer is the answer) or succeeds, which proves that the earlier
 * one is void. A claim waits for an earlier transaction that has not ended yet.
 */
import { createHash } from 'node:crypto';
import type { SessionTransaction } from '../engines/connector.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Position } from '../topology/position.ts';
import type { AccountId } from '../topology/routing.ts';
import { IDEMPOTENCY_KEY_HEADER, isIdempotencyKey } from '../topology/idempotency-key.ts';
import type { Idempotency } from './api.ts';
import type { OpenSession } from './handle.ts';

const RETENTION_MS = 24 * 3_600_000;
const RETENTION_MIN_MS = 1_000;
const RETENTION_MAX_MS = 30 * RETENTION_MS;
const FINGERPRINT_BYTES_MAX = 255;
export const ANSWER_BYTES_MAX = 64 * 1024;

/** One key in use by one call. */
export interface Keyed {
  /** The first account of the transaction: the key is kept with it. */
  readonly account: AccountId;
  readonly key: string;
  readonly fingerprint: string;
  readonly retentionMs: number;
}

/** Throws ERR_IDEMPOTENCY_KEY_INVALID or a RangeError for what can't be kept. */
export function keyedBy(
  account: AccountId,
  idempotency: Idempotency | undefined,
): Keyed | undefined {
  if (idempotency === undefined) return undefined;
  const { key, fingerprint = '', retentionMs = RETENTION_MS } = idempotency;
  if (!isIdempotencyKey(key)) throw invalidKey();
  if (Buffer.byteLength(fingerprint) > FINGERPRINT_BYTES_MAX) {
    throw new RangeError(`a fingerprint has at most ${String(FINGERPRINT_BYTES_MAX)} bytes`);
  }
  if (!(retentionMs >= RETENTION_MIN_MS && retentionMs <= RETENTION_MAX_MS)) {
    throw new RangeError('retentionMs is between a second and 30 days');
  }
  return { account, key, fingerprint, retentionMs: Math.floor(retentionMs) };
}

/** What of an HTTP request decides whether it is the same one. */
export interface IdempotentRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** As received, or parsed. */
  readonly body?: unknown;
}

/**
 * The key of a request that has one, with a fingerprint of its method, target and body; to be passed
 * to `transaction`. Throws ERR_IDEMPOTENCY_KEY_INVALID for a header that is not one key.
 */
export function idempotencyOf(request: IdempotentRequest): Idempotency | undefined {
  const key = request.headers[IDEMPOTENCY_KEY_HEADER];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !isIdempotencyKey(key)) throw invalidKey();
  const { method, url, body } = request;
  const bytes =
    typeof body === 'string' || body instanceof Uint8Array ? body : (JSON.stringify(body) ?? '');
  const fingerprint = createHash('sha256').update(`${method}\n${url}\n`).update(bytes);
  return { key, fingerprint: fingerprint.digest('base64url') };
}

/** The claim of one attempt, on its session. */
export class KeyClaim {
  readonly #session: SessionTransaction;
  readonly #keyed: Keyed;
  readonly #onMade: () => void;
  /** One for all handles of the session: they share what hangs on it. */
  readonly #inFront: OpenSession;
  #made: Promise<string> | undefined;

  constructor(session: SessionTransaction, keyed: Keyed, onMade: () => void) {
    this.#session = session;
    this.#keyed = keyed;
    this.#onMade = onMade;
    this.#inFront = {
      get failure() {
        return session.failure;
      },
      query: (scope, statement) => this.#before(() => session.query(scope, statement)),
      savepoint: (name) => this.#before(() => session.savepoint(name)),
      release: (name) => this.#before(() => session.release(name)),
      rollbackTo: (name) => this.#before(() => session.rollbackTo(name)),
    };
  }

  /** Sends the claim, once, before anything else of the transaction; resolves when it stands. */
  make(): Promise<string> {
    this.#made ??= this.#send();
    return this.#made;
  }

  /** The session as the function sees it: the claim goes before everything, in one flight with it. */
  inFront(): OpenSession {
    return this.#inFront;
  }

  /** A session in another group: nothing of it before the claim stands. */
  behind(session: OpenSession): OpenSession {
    const after = async <T>(send: () => Promise<T>): Promise<T> => {
      await this.make();
      return send();
    };
    return {
      get failure() {
        return session.failure;
      },
      query: (scope, statement) => after(() => session.query(scope, statement)),
      savepoint: (name) => after(() => session.savepoint(name)),
      release: (name) => after(() => session.release(name)),
      rollbackTo: (name) => after(() => session.rollbackTo(name)),
    };
  }

  async #before<T>(send: () => Promise<T>): Promise<T> {
    const [claimed, sent] = await Promise.allSettled([this.make(), send()]);
    if (claimed.status === 'rejected') throw claimed.reason;
    if (sent.status === 'rejected') throw sent.reason;
    return sent.value;
  }

  /** Keeps the answer and commits, in one flight. */
  async commit(answer: string | null): Promise<Position> {
    const place = await this.make();
    const keeping = this.#keep(place, answer, null);
    const [kept, committed] = await Promise.allSettled([keeping, this.#session.commit()]);
    // Whatever became of the answer, an unknown outcome is one.
    if (committed.status === 'rejected') {
      const unknown = (committed.reason as MeridianError).outcome === 'unknown';
      throw unknown || kept.status === 'fulfilled' ? committed.reason : kept.reason;
    }
    return committed.value;
  }

  /** Keeps the answer, for a commit that follows: of several parts, under the name `gid`. */
  async keep(answer: string | null, gid: string | null): Promise<void> {
    await this.#keep(await this.make(), answer, gid);
  }

  #keep(place: string, answer: string | null, gid: string | null): Promise<unknown> {
    return this.#session.query(0, {
      text: 'SELECT meridian.keep_answer($1, $2, $3)',
      values: [place, answer, gid],
    });
  }

  async #send(): Promise<string> {
    const { account, key, fingerprint, retentionMs } = this.#keyed;
    const { rows } = await this.#session.query(0, {
      text: 'SELECT meridian.claim_key($1, $2, $3, $4) AS place',
      values: [account, key, fingerprint, retentionMs],
    });
    this.#onMade();
    return (rows[0] as { readonly place: string }).place;
  }
}

/**
 * What was kept with a key that has been used. Undefined when its time is over meanwhile: the key is
 * free again. Throws ERR_IDEMPOTENCY_MISMATCH when it was another request's. The session is to be
 * committed like a write: only then is it certain that a quorum has the answer.
 */
export async function keptAnswer(
  session: SessionTransaction,
  keyed: Keyed,
): Promise<{ readonly value: unknown; readonly gid: string | null } | undefined> {
  const { rows } = await session.query(0, {
    text: 'SELECT fingerprint, answer, gid FROM meridian.kept_answer($1, $2)',
    values: [keyed.account, keyed.key],
  });
  const [row] = rows as { fingerprint: string; answer: string | null; gid: string | null }[];
  if (row === undefined) return undefined;
  if (row.fingerprint !== keyed.fingerprint) {
    throw new MeridianError(
      'ERR_IDEMPOTENCY_MISMATCH',
      'the idempotency key was used for a different request',
    );
  }
  return { value: parseAnswer(row.answer), gid: row.gid };
}

/** The text to keep; null for undefined. Throws ERR_IDEMPOTENCY_ANSWER. */
export function answerText(value: unknown): string | null {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new MeridianError('ERR_IDEMPOTENCY_ANSWER', 'the value is not one that JSON can hold', {
      cause,
    });
  }
  if (text !== undefined && Buffer.byteLength(text) > ANSWER_BYTES_MAX) {
    throw new MeridianError(
      'ERR_IDEMPOTENCY_ANSWER',
      `the value takes ${String(Buffer.byteLength(text))} bytes of JSON, ${String(ANSWER_BYTES_MAX)} are kept`,
    );
  }
  return text ?? null;
}

export function parseAnswer(text: string | null): unknown {
  return text === null ? undefined : JSON.parse(text);
}

function invalidKey(): MeridianError {
  return new MeridianError(
    'ERR_IDEMPOTENCY_KEY_INVALID',
    'the idempotency key must be one of 1 to 255 visible ASCII characters',
  );
}
