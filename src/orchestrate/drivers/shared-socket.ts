/**
 * A socket that is bound here and accepted on elsewhere. Node's own cluster module does the same, by
 * the same call: a handle that is bound but never listened on by its owner, so that the owner takes no
 * connection itself. Once any process has listened, the kernel keeps the queue of connections for as
 * long as one process has the socket open, and this one always has.
 */
import * as net from 'node:net';
import { MeridianError } from '../../kernel/errors.ts';
import type { SharedSocket } from '../../kernel/host.ts';

/** Of libuv's TCP handle, what is used here. */
interface BoundHandle {
  /** 0, or an error number when the address could not be bound after all. */
  getsockname(into: { port?: number }): number;
  close(): void;
}

interface ClusterNet {
  readonly _createServerHandle?: (
    address: string,
    port: number,
    family: 4 | 6,
  ) => BoundHandle | number;
}

/** At an IP address; 0 picks a free port. Throws ERR_PORT_TAKEN. */
export function bindSocket(address: string, port: number): SharedSocket {
  const create = (net as ClusterNet)._createServerHandle;
  if (create === undefined) {
    throw new MeridianError('ERR_INTERNAL', 'this version of Node binds no sockets for others');
  }
  const handle = create(address, port, net.isIPv6(address) ? 6 : 4);
  if (typeof handle === 'number') throw taken(port);
  const bound: { port?: number } = {};
  if (handle.getsockname(bound) !== 0 || bound.port === undefined) {
    handle.close();
    throw taken(port);
  }
  let closed = false;
  return {
    port: bound.port,
    handle,
    close: () => {
      if (closed) return;
      closed = true;
      handle.close();
    },
  };
}

function taken(port: number): MeridianError {
  return new MeridianError('ERR_PORT_TAKEN', `port ${String(port)} cannot be bound`);
}
