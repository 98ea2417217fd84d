/**
 * A relay between library clients and the control feed, that can be held: what is held hears nothing
 * and loses nothing. A client that was cut off together with a leader must not be told over an
 * unharmed wire that another one leads; only then does it try what a zombie would answer.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Scope } from '../kernel/scope.ts';

export interface FeedRelay extends AsyncDisposable {
  /** Instead of the control server's own address. */
  readonly url: string;
  /** Nothing passes until the returned function is called. */
  hold(): () => void;
}

export async function startFeedRelay(controlUrl: string): Promise<FeedRelay> {
  const target = new URL(controlUrl);
  const sockets = new Set<Socket>();
  let holds = 0;
  const owned = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    return socket;
  };
  const server = createServer({ pauseOnConnect: false }, (inner) => {
    const outer = owned(connect(Number(target.port), target.hostname));
    owned(inner);
    inner.on('data', (chunk) => outer.write(chunk));
    outer.on('data', (chunk) => inner.write(chunk));
    inner.on('close', () => outer.destroy());
    outer.on('close', () => inner.destroy());
    if (holds > 0) [inner, outer].forEach((socket) => socket.pause());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const scope = new Scope();
  scope.push('feed relay', () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(() => resolve()));
  });
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    hold: () => {
      holds += 1;
      for (const socket of sockets) socket.pause();
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        holds -= 1;
        if (holds === 0) for (const socket of sockets) socket.resume();
      };
    },
    [Symbol.asyncDispose]: () => scope.close(),
  };
}
