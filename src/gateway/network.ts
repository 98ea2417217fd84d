/**
 * Internet addresses as text: read, compared with networks, and shortened. Pure.
 *
 * An IPv4 address inside IPv6 (`::ffff:203.0.113.7`) is the IPv4 address: a dual-stack socket shows
 * one client both ways.
 */
import { BlockList, isIP, isIPv4 } from 'node:net';

/** 'loopback' and 'private' beside networks in their usual notation. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

export interface Network {
  readonly address: string;
  readonly family: 'ipv4' | 'ipv6';
  readonly prefix: number;
}

/** An address, or one with `/prefix`; undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0) return undefined;
  const bits = version === 4 ? 32 : 128;
  const digits = slash < 0 ? String(bits) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > bits) return undefined;
  return { address, family: version === 4 ? 'ipv4' : 'ipv6', prefix: Number(digits) };
}

/** The networks that a declared entry stands for; undefined for an entry that stands for none. */
export function networksOf(entry: string): readonly Network[] | undefined {
  const texts = Object.hasOwn(NAMED, entry) ? (NAMED[entry] ?? []) : [entry];
  const networks = texts.map(parseNetwork);
  return networks.every((network) => network !== undefined) ? networks : undefined;
}

/** Is a plain address (see `plainAddress`) in one of the networks? */
export function addressMatcher(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const network of entries.flatMap((entry) => networksOf(entry) ?? [])) {
    list.addSubnet(network.address, network.prefix, network.family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
}

/** Without a zone, and IPv4 where it is one inside IPv6; undefined for what is no address. */
export function plainAddress(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const percent = text.indexOf('%');
  const address = percent < 0 ? text : text.slice(0, percent);
  const groups = groupsOf(address);
  if (groups === undefined) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (!mapped) return address.toLowerCase();
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/**
 * What counts as one client: an IPv4 address, or the /64 that a single IPv6 subscriber has all of.
 */
export function clientNetwork(address: string): string {
  const groups = isIPv4(address) ? undefined : groupsOf(address);
  return groups === undefined ? address : shortened(groups, 4);
}

/** For logs: the /24 of an IPv4 address, the /48 of an IPv6 one. */
export function truncatedAddress(address: string): string {
  if (isIPv4(address)) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`;
  const groups = groupsOf(address);
  return groups === undefined ? 'unknown' : shortened(groups, 3);
}

function shortened(groups: readonly number[], kept: number): string {
  const text = groups.slice(0, kept).map((group) => group.toString(16));
  return `${text.join(':')}::/${String(kept * 16)}`;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): number[] | undefined {
  if (isIP(address) !== 6) return undefined;
  const [left = '', right] = address.split('::');
  const before = readGroups(left);
  if (right === undefined) return before;
  const after = readGroups(right);
  return [...before, ...zeros(8 - before.length - after.length), ...after];
}

function readGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

function zeros(count: number): number[] {
  return Array.from({ length: Math.max(0, count) }, () => 0);
}
