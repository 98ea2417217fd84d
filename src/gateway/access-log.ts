/**
 * One line for each finished request, as JSON, for programs that count and for people who search.
 *
 * No secrets by construction: of what the client sent, only method, path (without its query) and the
 * account's id get into a line; headers, cookies, tokens and claims never do. Health checks of the
 * gateway itself are not logged.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import type { Admitted } from './access.ts';
import { originForm } from './headers.ts';
import { truncatedAddress } from './network.ts';
import type { AccessLogOptions } from './options.ts';
import type { RouteReason } from './route.ts';

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
  route: RouteReason | undefined;
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
  begin(request: LoggedRequest, id: string): AccessEntry;
  /** Once, when the response is closed. */
  finish(entry: AccessEntry, response: LoggedResponse): void;
}

type LoggedRequest = Pick<IncomingMessage, 'method' | 'url'> & {
  readonly socket: Pick<IncomingMessage['socket'], 'remoteAddress'>;
};
type LoggedResponse = Pick<ServerResponse, 'headersSent' | 'statusCode' | 'writableFinished'>;

interface Answered {
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
    begin: ({ method, url, socket }, id) => ({
      id,
      method: method ?? '',
      path: withoutQuery(url ?? ''),
      startedMs: clock.monotonicMs(),
      address: socket.remoteAddress,
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
    finish: (entry, response) => {
      const facts = {
        time: new Date(clock.now()).toISOString(),
        durationMs: clock.monotonicMs() - entry.startedMs,
        status: response.headersSent ? response.statusCode : undefined,
        aborted: !response.writableFinished && !entry.truncated,
      };
      write(accessLine(entry, facts, options));
    },
  };
}

export function noteAdmitted(entry: AccessEntry | undefined, admitted: Admitted): void {
  if (entry === undefined) return;
  entry.address = admitted.client.address;
  entry.account = admitted.account;
  entry.issuer = admitted.identity?.issuer;
}

/** Once for each server that is asked. */
export function noteRoute(
  entry: AccessEntry | undefined,
  route: { readonly why: RouteReason; readonly server: { readonly name: string } },
): void {
  if (entry === undefined) return;
  entry.attempts += 1;
  entry.route = route.why;
  entry.server = route.server.name;
}

/** What is undefined or usual (no retry, not aborted) is left out. Pure. */
function accessLine(
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
