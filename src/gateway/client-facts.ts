/**
 * Who is at the other end of a request: the connection's peer, or whom a trusted proxy names. Pure.
 *
 * Headers are read only when the peer is a declared proxy, and only the one kind that is declared: a
 * proxy that writes X-Forwarded-For passes on whatever the client wrote into Forwarded.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { believed, lastOf, parseForwarded, parseForwardedFor, type Hop } from './forwarded.ts';
import { addressMatcher, plainAddress } from './network.ts';
import type { GatewayOptions } from './options.ts';

export interface ClientFacts {
  /** A plain address, or 'unknown' for a connection that is closed already. */
  readonly address: string;
  /** How the client reached the first proxy. */
  readonly protocol: 'http' | 'https';
  /** The host that it asked there. */
  readonly host: string;
}

export interface Peer {
  /** As the socket says. */
  readonly address: string | undefined;
  readonly encrypted: boolean;
  readonly headers: IncomingHttpHeaders;
  /** As asked of this gateway. */
  readonly host: string;
}

const HOST = /^[A-Za-z0-9._:[\]-]{1,255}$/;

export function clientReader(
  options: Pick<GatewayOptions, 'trustedProxies' | 'forwardedHeader'>,
): (peer: Peer) => ClientFacts {
  const trusted = addressMatcher(options.trustedProxies);
  const none = options.trustedProxies.length === 0;
  const tell = options.forwardedHeader === 'forwarded' ? tellForwarded : tellForwardedFor;
  return (peer) => {
    const address = peerAddress(peer.address);
    const protocol = peer.encrypted ? 'https' : 'http';
    if (none || !trusted(address)) return { address, protocol, host: peer.host };
    const told = tell(peer.headers);
    const client = believed(address, told.hops, trusted);
    const { protocol: saidProtocol, host } = told.shared ?? client.hop ?? {};
    const said = saidProtocol?.toLowerCase();
    return {
      address: client.address,
      protocol: said === 'https' || said === 'http' ? said : protocol,
      host: host !== undefined && HOST.test(host) ? host : peer.host,
    };
  };
}

interface Told {
  readonly hops: readonly Hop[];
  /** For all hops together: the X-Forwarded headers do not say which of them wrote it. */
  readonly shared?: Pick<Hop, 'protocol' | 'host'>;
}

function tellForwardedFor(headers: IncomingHttpHeaders): Told {
  const list = text(headers['x-forwarded-for']);
  return {
    hops: list === undefined ? [] : parseForwardedFor(list),
    shared: {
      protocol: lastOf(text(headers['x-forwarded-proto'])),
      host: lastOf(text(headers['x-forwarded-host'])),
    },
  };
}

function tellForwarded(headers: IncomingHttpHeaders): Told {
  const list = text(headers.forwarded);
  return { hops: list === undefined ? [] : parseForwarded(list) };
}

function text(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value;
}

/** IPv4 addresses, the usual case, are not looked at closely: the socket gave them. */
function peerAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  return address.includes(':') ? (plainAddress(address) ?? 'unknown') : address;
}
