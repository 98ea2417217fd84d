/**
 * The two ways by which a client reaches its data: over HTTP through a region's gateway, and by the
 * library in a process of its own. Both answer alike and never reject.
 */
import { Pool } from 'undici';
import type { MeridianClient } from '../client/api.ts';
import type { Token } from '../topology/position.ts';
import { accountOf, performAction } from './actions.ts';
import type { Action } from './history.ts';
import { failureOf, lostAnswer, refusedAnswer, type Failure } from './outcome.ts';

export type Answer =
  | {
      readonly outcome: 'ok';
      readonly action: Action;
      readonly token: Token;
      readonly node: string | undefined;
    }
  | Failure;

export interface Door {
  readonly via: 'gateway' | 'library';
  readonly region: string;
  /** With a key, it may be sent again: it takes effect once. */
  send(action: Action, key?: string): Promise<Answer>;
}

/** What a client waits for an answer. */
export const DEADLINE_MS = 8_000;
/** The platform is given less, so that its own refusal arrives. */
const PLATFORM_TIMEOUT_MS = 7_000;
const CONNECTIONS_MAX = 32;

export function libraryDoor(db: MeridianClient): Door {
  return {
    via: 'library',
    region: db.region,
    send: async (action, key) => {
      const idempotency = key === undefined ? undefined : { key };
      try {
        const options = { timeoutMs: DEADLINE_MS, idempotency };
        return { outcome: 'ok', ...(await performAction(db, action, options)) };
      } catch (error) {
        return failureOf(error);
      }
    },
  };
}

export interface GatewayDoor extends Door, AsyncDisposable {}

export function gatewayDoor(region: string, url: string): GatewayDoor {
  const pool = new Pool(url, {
    connections: CONNECTIONS_MAX,
    headersTimeout: DEADLINE_MS,
    bodyTimeout: DEADLINE_MS,
    connectTimeout: DEADLINE_MS,
  });
  return {
    via: 'gateway',
    region,
    send: (action, key) => sendTo(pool, action, key),
    [Symbol.asyncDispose]: () => pool.destroy(),
  };
}

async function sendTo(pool: Pool, action: Action, key: string | undefined): Promise<Answer> {
  const text = JSON.stringify(action);
  const path = `/accounts/${encodeURIComponent(accountOf(action))}/${action.kind}`;
  const reading = action.kind === 'register-read';
  const headers: Record<string, string> = { 'meridian-timeout-ms': String(PLATFORM_TIMEOUT_MS) };
  if (key !== undefined) headers['idempotency-key'] = key;
  if (!reading) headers['content-type'] = 'application/json';
  try {
    const response = await pool.request({
      method: reading ? 'GET' : 'POST',
      path: reading ? `${path}?action=${encodeURIComponent(text)}` : path,
      headers,
      body: reading ? null : text,
    });
    const body = parsed(await response.body.text());
    const { 'meridian-token': token, 'meridian-outcome': outcome } = response.headers;
    const answer = answerOf(response.statusCode, body, typeof token === 'string' ? token : '');
    // The gateway's word on all attempts outranks that of the last server.
    return outcome === 'unknown' && answer.outcome === 'failed' ? { ...answer, outcome } : answer;
  } catch (error) {
    return lostAnswer(error);
  }
}

function answerOf(status: number, body: unknown, token: Token): Answer {
  if (status !== 200) return refusedAnswer(status, body);
  const { action, node } = (body ?? {}) as { action?: Action; node?: string };
  if (action === undefined) return { outcome: 'unknown', code: 'ANSWER_UNREADABLE' };
  return { outcome: 'ok', action, token, node };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
