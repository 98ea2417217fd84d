/**
 * Reads what proxies say of a client: `X-Forwarded-For` and `Forwarded` (RFC 7239). Pure.
 *
 * Each proxy writes at the right end, so belief goes from right to left, and ends at the first
 * address that is not a trusted proxy's: everything left of it, the client may have written itself.
 */
import { plainAddress } from './network.ts';

/** What one proxy wrote. */
export interface Hop {
  /** Undefined: hidden, unknown or unreadable. */
  readonly address: string | undefined;
  readonly protocol?: string | undefined;
  readonly host?: string | undefined;
}

export interface Believed {
  readonly address: string;
  /** What the proxy that saw this address wrote; undefined when none wrote anything. */
  readonly hop: Hop | undefined;
}

/** Entries read, from the right; a chain that is longer is cut there. */
const HOPS_MAX = 32;

/** The client as the trusted proxies tell it. `peer`, the connection's other end, is trusted. */
export function believed(
  peer: string,
  hops: readonly Hop[],
  trusted: (address: string) => boolean,
): Believed {
  let address = peer;
  let hop: Hop | undefined;
  const last = Math.max(0, hops.length - HOPS_MAX);
  for (let at = hops.length - 1; at >= last; at -= 1) {
    hop = hops[at];
    // A trusted proxy does not know or tell: it stands for the client.
    if (hop?.address === undefined) break;
    address = hop.address;
    if (!trusted(address)) break;
  }
  return { address, hop };
}

export function parseForwardedFor(value: string): Hop[] {
  return value.split(',').map((entry) => ({ address: nodeAddress(entry.trim()) }));
}

/** A malformed element is a hop that tells nothing, so that it ends belief. */
export function parseForwarded(value: string): Hop[] {
  return splitOutsideQuotes(value, ',').map((element) => {
    const pairs = new Map<string, string>();
    for (const part of splitOutsideQuotes(element, ';')) {
      const equals = part.indexOf('=');
      const name = part.slice(0, equals).trim().toLowerCase();
      if (equals <= 0 || pairs.has(name)) return { address: undefined };
      pairs.set(name, unquoted(part.slice(equals + 1).trim()));
    }
    const address = nodeAddress(pairs.get('for') ?? '');
    return { address, protocol: pairs.get('proto'), host: pairs.get('host') };
  });
}

/** The last of a list of values: what the nearest proxy wrote. */
export function lastOf(value: string | undefined): string | undefined {
  return value?.slice(value.lastIndexOf(',') + 1).trim();
}

/** '1.2.3.4', '1.2.3.4:80', '[2001:db8::1]:80', '2001:db8::1'. */
function nodeAddress(text: string): string | undefined {
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    const rest = text.slice(end + 1);
    return end < 0 || !isPort(rest) ? undefined : plainAddress(text.slice(1, end));
  }
  const colon = text.indexOf(':');
  if (colon >= 0 && colon === text.lastIndexOf(':')) {
    return isPort(text.slice(colon)) ? plainAddress(text.slice(0, colon)) : undefined;
  }
  return plainAddress(text);
}

function isPort(text: string): boolean {
  return text === '' || /^:[A-Za-z0-9._-]{1,16}$/.test(text);
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (quoted && char === '\\') at += 1;
    else if (char === '"') quoted = !quoted;
    else if (!quoted && char === separator) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

function unquoted(text: string): string {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return text;
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}
