/** Real TCP peers on loopback for tests of things that forward bytes. Each owns what it opened. */
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Address } from '../../src/topology/routing.ts';

export interface Listener extends AsyncDisposable {
  readonly address: Address;
  readonly sockets: Set<Socket>;
  readonly server: Server;
}

export async function listen(onConnection: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port },
    sockets,
    server,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Sends everything back, ends when its peer ends. */
export function echo(): Promise<Listener> {
  return listen((socket) => {
    socket.pipe(socket);
  });
}

export async function dial(address: Address): Promise<Socket & Disposable> {
  const socket = connect({ ...address, allowHalfOpen: true, noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return Object.assign(socket, { [Symbol.dispose]: () => void socket.destroy() });
}

/** Reads until `bytes` have come; fails when the stream ends before. */
export function receive(socket: Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const done = (error?: Error): void => {
      socket.off('data', onData).off('close', onEnd).off('end', onEnd);
      if (error === undefined) resolve(Buffer.concat(chunks));
      else reject(error);
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= bytes) done();
    };
    const onEnd = (): void => {
      done(new Error(`the stream ended after ${String(length)} of ${String(bytes)} bytes`));
    };
    socket.on('data', onData).on('close', onEnd).on('end', onEnd);
  });
}

/** Resolves when the socket is closed: true if the connection broke. */
export function closed(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** Milliseconds until an answer of the same length has come back. */
export async function roundTrip(socket: Socket, message: string): Promise<number> {
  const started = performance.now();
  const answer = receive(socket, message.length);
  socket.write(message);
  await answer;
  return performance.now() - started;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
}
