/**
 * A route of the control server as data: what is asked, by method and path, and what answers it. Each
 * subject has a file here that makes its routes of the options it needs; the server only looks them up,
 * behind its token.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

/** By method and path: "POST /v1/restart". What it throws becomes the refusal. */
export type Routes = Readonly<Record<string, (exchange: Exchange) => Promise<void>>>;
