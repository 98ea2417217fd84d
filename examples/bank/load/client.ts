/**
 * HTTP to the gateways, as a client in each region: keep-alive connections, a deadline that travels,
 * and an answer that says whether a write happened, didn't, or may have.
 */
import { setTimeout } from 'node:timers/promises';
import { Pool } from 'undici';

export interface CallOptions {
  readonly region: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly token?: string;
  readonly body?: object;
  /** Makes it safe to send the same request again. */
  readonly idempotencyKey?: string;
}

export type Answer =
  | {
      readonly kind: 'done';
      readonly body: Readonly<Record<string, unknown>>;
      readonly token: string;
    }
  /** The business said no: nothing happened. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly code: string; readonly outcome: 'none' | 'unknown' };

/** An answer that is neither done nor the business's no. */
export interface Fault {
  readonly status: number;
  readonly code: string;
  /** What it advises; null: nothing. */
  readonly retry: string | null;
  readonly outcome: 'none' | 'unknown';
  /** It says in a header when to come back. */
  readonly retryAfter: boolean;
  /** Its request may be sent again whatever became of it: it has a key, or reads. */
  readonly repeatable: boolean;
}

/** What answers, and their absence, tell beside what they are. */
export interface Reports {
  /** Counters that each server reports about itself, by code. */
  readonly noteRetries: (server: string, retries: Readonly<Record<string, number>>) => void;
  readonly noteFault: (fault: Fault) => void;
  /** No answer came, or only a part of one. */
  readonly noteLoss: (region: string, code: string) => void;
}

const NO_REPORTS: Reports = { noteRetries: () => {}, noteFault: () => {}, noteLoss: () => {} };

/** About 20 seconds in all, beside the waits for answers. */
const REPEATS_MAX = 10;
const REPEAT_DELAY_MS = 350;
const CONNECTIONS_PER_REGION = 128;
export const REQUEST_TIMEOUT_MS = 10_000;
/** The gateway is given less than we wait, so that its own answer arrives. */
const GATEWAY_TIMEOUT_MS = 8_000;

export class GatewayClients {
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #reports: Reports;
  /** Writes sent again because their outcome was not known. */
  repeats = 0;

  constructor(gateways: ReadonlyMap<string, string>, reports: Reports = NO_REPORTS) {
    this.#reports = reports;
    this.#pools = new Map(
      [...gateways].map(([region, url]) => [
        region,
        new Pool(url, {
          connections: CONNECTIONS_PER_REGION,
          headersTimeout: REQUEST_TIMEOUT_MS,
          bodyTimeout: REQUEST_TIMEOUT_MS,
          connectTimeout: REQUEST_TIMEOUT_MS,
        }),
      ]),
    );
  }

  /** Never rejects. */
  async call({ region, method, path, token, body, idempotencyKey }: CallOptions): Promise<Answer> {
    const headers: Record<string, string> = { 'meridian-timeout-ms': String(GATEWAY_TIMEOUT_MS) };
    if (token !== undefined) headers['meridian-token'] = token;
    if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      const pool = this.#pools.get(region);
      if (pool === undefined) throw new Error(`no gateway for ${region}`);
      const response = await pool.request({
        method,
        path,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await response.body.text();
      this.#noteRetries(response.headers);
      const answer = answerOf(response.statusCode, text, response.headers['meridian-token']);
      if (answer.kind === 'failed') {
        const retryAfter = response.headers['retry-after'] !== undefined;
        const repeatable = method === 'GET' || idempotencyKey !== undefined;
        const { code, outcome } = answer;
        const facts = { code, outcome, retryAfter, repeatable };
        this.#reports.noteFault({ status: response.statusCode, retry: adviceOf(text), ...facts });
      }
      return answer;
    } catch (error) {
      const { code } = error as { code?: unknown };
      const text = typeof code === 'string' ? code : 'NETWORK';
      this.#reports.noteLoss(region, text);
      return { kind: 'failed', code: text, outcome: 'unknown' };
    }
  }

  /**
   * A write with its key: repeated until it is known whether it happened, for a bounded time. Only
   * where the platform stays out of reach that long, the outcome is still unknown. Never rejects.
   */
  async write(call: CallOptions & { readonly idempotencyKey: string }): Promise<Answer> {
    let answer = await this.call(call);
    for (let again = 1; isUnknown(answer) && again <= REPEATS_MAX; again += 1) {
      this.repeats += 1;
      await setTimeout(REPEAT_DELAY_MS * again);
      const repeated = await this.call(call);
      // A refusal without an effect is this request's own; what the first one did is still not known.
      if (repeated.kind !== 'failed' || repeated.outcome === 'unknown') answer = repeated;
    }
    return answer;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
  }

  #noteRetries(headers: Readonly<Record<string, string | string[] | undefined>>): void {
    const server = headers['bank-server'];
    const retries = headers['bank-retries'];
    if (typeof server !== 'string' || typeof retries !== 'string') return;
    this.#reports.noteRetries(server, JSON.parse(retries) as Record<string, number>);
  }
}

function isUnknown(answer: Answer): boolean {
  return answer.kind === 'failed' && answer.outcome === 'unknown';
}

/** Reads an HTTP answer. Whatever doesn't say clearly that nothing happened, may have happened. */
export function answerOf(
  status: number,
  text: string,
  token: string | string[] | undefined,
): Answer {
  const body = parseObject(text);
  if (status >= 200 && status < 300 && body !== undefined) {
    return { kind: 'done', body, token: typeof token === 'string' ? token : '' };
  }
  const refused = body?.['refused'];
  if (status === 409 && typeof refused === 'string') return { kind: 'refused', reason: refused };
  const error = body?.['error'] as { code?: unknown; outcome?: unknown } | undefined;
  return {
    kind: 'failed',
    code: typeof error?.code === 'string' ? error.code : `HTTP_${String(status)}`,
    outcome: error?.outcome === 'none' ? 'none' : 'unknown',
  };
}

function adviceOf(text: string): string | null {
  const error = parseObject(text)?.['error'] as { retry?: unknown } | undefined;
  return typeof error?.retry === 'string' ? error.retry : null;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
