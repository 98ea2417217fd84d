/**
 * One line for each finished request, as JSON, for programs that count and for people who search.
 *
 * No secrets by construction: of what the client sent, only method, path (without its query) and the
 * account's id get into a line; headers, cookies, tokens and claims never do. Health checks of the
 * gateway itself are not logged.
 */
import type { Clock } from '../kernel/clock.ts';
import { originForm } from './headers.ts';
import { truncatedAddress } from './network.ts';
import type { AccessLogOptions } from './options.ts';

/** What is known of a request so far; filled in while it is served. */
export interface AccessEntry {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly startedMs: number;
  /** The client's, as trusted proxies tell it; until that is known, the connection's. */
  address: string | undefined;
  account: string | undefined;
  /** Name of the token's issuer. */
  issuer: string | undefined;
  /** Why that server (route.ts). */
  route: string | undefined;
  server: string | undefined;
  /** Servers asked. */
  attempts: number;
  /** Error code of a refusal. */
  code: string | undefined;
  /** Of the bodies, not of heads. */
  bytesIn: number;
  bytesOut: number;
  /** The app server broke off its answer. */
  truncated: boolean;
}

export interface AccessLog {
  begin(request: {
    readonly id: string;
    readonly method: string | undefined;
    readonly url: string | undefined;
    readonly address: string | undefined;
  }): AccessEntry;
  finish(entry: AccessEntry, answer: Answered): void;
}

export interface Answered {
  /** Undefined when no head was sent. */
  readonly status: number | undefined;
  /** The client closed before it had everything. */
  readonly aborted: boolean;
}

const PATH_LENGTH_MAX = 1_024;

export function accessLog(parts: {
  readonly options: Pick<AccessLogOptions, 'account' | 'clientAddress'>;
  readonly clock: Clock;
  /** Gets whole lines, newline included. */
  readonly write: (line: string) => void;
}): AccessLog {
  const { options, clock, write } = parts;
  return {
    begin: ({ id, method, url, address }) => ({
      id,
      method: method ?? '',
      path: withoutQuery(url ?? ''),
      startedMs: clock.monotonicMs(),
      address,
      account: undefined,
      issuer: undefined,
      route: undefined,
      server: undefined,
      attempts: 0,
      code: undefined,
      bytesIn: 0,
      bytesOut: 0,
      truncated: false,
    }),
    finish: (entry, answered) => {
      const durationMs = clock.monotonicMs() - entry.startedMs;
      const facts = { durationMs, time: new Date(clock.now()).toISOString(), ...answered };
      write(accessLine(entry, facts, options));
    },
  };
}

/** What is undefined or usual (no retry, not aborted) is left out. Pure. */
export function accessLine(
  entry: AccessEntry,
  facts: Answered & { readonly durationMs: number; readonly time: string },
  options: Pick<AccessLogOptions, 'account' | 'clientAddress'>,
): string {
  const { id, method, path, route, server, code, issuer, bytesIn, bytesOut } = entry;
  const line = {
    time: facts.time,
    requestId: id,
    method,
    path,
    status: facts.status,
    code,
    route,
    server,
    account: options.account ? entry.account : undefined,
    issuer,
    client: shownAddress(entry.address, options.clientAddress),
    durationMs: Math.round(facts.durationMs * 10) / 10,
    bytesIn,
    bytesOut,
    retries: entry.attempts > 1 ? entry.attempts - 1 : undefined,
    truncated: entry.truncated || undefined,
    aborted: facts.aborted || undefined,
  };
  return JSON.stringify(line) + '\n';
}

function shownAddress(
  address: string | undefined,
  shown: AccessLogOptions['clientAddress'],
): string | undefined {
  if (shown === 'none' || address === undefined) return undefined;
  return shown === 'full' ? address : truncatedAddress(address);
}

/** Origin form, so that an absolute target's user and password are left out as well. */
function withoutQuery(url: string): string {
  const path = originForm(url)?.path ?? '';
  const end = path.search(/[?#]/);
  return (end < 0 ? path : path.slice(0, end)).slice(0, PATH_LENGTH_MAX);
}
