/**
 * An app server that keeps the very bytes it was sent: what a gateway forwarded is then no matter of
 * anybody's parser. It answers each connection's bytes with one fixed answer per request head.
 */
import type { Socket } from 'node:net';
import { listen } from './sockets.ts';

export interface RawUpstream extends AsyncDisposable {
  readonly port: number;
  /** Everything that arrived, in order, as latin1. */
  bytes(): string;
  forget(): void;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export async function startRawUpstream(): Promise<RawUpstream> {
  let bytes = '';
  const listener = await listen((socket: Socket) => {
    let own = '';
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      bytes += text;
      own += text;
      if (isWhole(own)) {
        own = '';
        socket.write(ANSWER);
      }
    });
    socket.on('end', () => socket.end());
  });
  return {
    port: listener.address.port,
    bytes: () => bytes,
    forget: () => {
      bytes = '';
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Enough for what a gateway's HTTP client writes: one request at a time, well formed. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = text.slice(0, end).toLowerCase();
  const body = text.slice(end + 4);
  if (head.includes('\r\ntransfer-encoding: chunked')) return body.endsWith('0\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/.exec(head);
  return body.length >= Number(length?.[1] ?? 0);
}
