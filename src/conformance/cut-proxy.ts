/**
 * Stands between a connector and a node, and cuts the connection at the next thing that the client
 * says: before it reaches the node, or after, so that the answer alone is lost. Knows no protocol.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Address } from '../topology/routing.ts';

/** How long a node keeps its end after the client's is gone, to act on what it was told. */
const LINGER_MS = 2_000;

export class CutProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #cut: 'before' | 'after' | undefined;

  private constructor(target: Address) {
    this.#server = createServer((client) => {
      this.#forward(client, connect(target.port, target.host));
    });
  }

  static async start(target: Address): Promise<CutProxy> {
    const proxy = new CutProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): Address {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** The next bytes of a client end its connection. */
  cutNext(when: 'before' | 'after'): void {
    this.#cut = when;
  }

  #forward(client: Socket, node: Socket): void {
    let answerLost = false;
    const end = (): void => {
      client.destroy();
      // It acts on what it was told, if it was told anything, and nobody hears of it.
      if (!answerLost) node.destroy();
    };
    for (const socket of [client, node]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    client.on('data', (chunk: Buffer) => {
      const cut = this.#cut;
      this.#cut = undefined;
      if (cut !== 'before') node.write(chunk);
      if (cut === undefined) return;
      answerLost = cut === 'after';
      node.setTimeout(LINGER_MS, () => node.destroy());
      end();
    });
    node.on('data', (chunk: Buffer) => {
      if (!client.destroyed) client.write(chunk);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}
