/**
 * The first request of a new connection waits for one more look at the connection: its client may have left
 * long ago. Connections wait in the kernel, unseen, while a gateway starts or has no processor time, and each
 * turn of the event loop takes one of them (libuv since 1.45). A gateway that came back to many clients would
 * serve those that have given up, each as dear as a live one, and so be late for all that come after them.
 *
 * Two turns: the end of a client that has sent its request is read in the turn after the request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';

export class Arrivals {
  readonly #onGone: () => void;
  #waiting = 0;

  /** `onGone`: told of each whose client has left. */
  constructor(onGone: () => void) {
    this.#onGone = onGone;
  }

  /** In flight, although nobody has begun to serve them. */
  get size(): number {
    return this.#waiting;
  }

  look(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
    const { socket } = request;
    this.#waiting += 1;
    setImmediate(() => {
      setImmediate(() => {
        this.#waiting -= 1;
        if (socket.destroyed || socket.writableEnded || response.closed) this.#onGone();
        else serve();
      });
    });
  }
}
