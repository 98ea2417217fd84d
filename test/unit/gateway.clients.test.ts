/** Addresses and networks as text; who is believed about a client's address. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clientReader, type ClientFacts } from '../../src/gateway/client-facts.ts';
import { parseForwarded, parseForwardedFor } from '../../src/gateway/forwarded.ts';
import {
  addressMatcher,
  clientNetwork,
  networksOf,
  parseNetwork,
  plainAddress,
  truncatedAddress,
} from '../../src/gateway/network.ts';
import type { GatewayOptions } from '../../src/gateway/options.ts';

const octet = fc.integer({ min: 0, max: 255 });
const ipv4 = fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.'));
const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16));
const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((parts) => parts.join(':'));

describe('networks', () => {
  test('are an address, a prefix, or a name; nothing else', () => {
    assert.deepEqual(parseNetwork('10.0.0.0/8'), {
      address: '10.0.0.0',
      family: 'ipv4',
      prefix: 8,
    });
    assert.equal(parseNetwork('2001:db8::1')?.prefix, 128);
    const wrong = ['', '10.0.0.0/33', '10.0.0/8', '::1/129', '10.0.0.0/08', '10.0.0.0/', '/8'];
    for (const text of [...wrong, '10.0.0.0/-1', '10.0.0.0/1e1', 'fe80::1%eth0', 'toString']) {
      assert.equal(networksOf(text), undefined, text);
    }
    assert.equal(networksOf('loopback')?.length, 2);
  });

  test('contain what shares their prefix', () => {
    fc.assert(
      fc.property(ipv4, ipv4, fc.integer({ min: 0, max: 32 }), (network, address, prefix) => {
        const bits = (text: string): string =>
          text
            .split('.')
            .map((part) => Number(part).toString(2).padStart(8, '0'))
            .join('')
            .slice(0, prefix);
        const inside = addressMatcher([`${network}/${String(prefix)}`])(address);
        assert.equal(inside, bits(network) === bits(address));
      }),
    );
  });

  test('an IPv4 address inside IPv6 is the IPv4 address', () => {
    fc.assert(
      fc.property(ipv4, (address) => {
        assert.equal(plainAddress(`::ffff:${address}`), address);
        assert.equal(plainAddress(address), address);
      }),
    );
    assert.equal(plainAddress('::FFFF:cb00:7107'), '203.0.113.7');
    assert.equal(plainAddress('FE80::1%eth0'), 'fe80::1');
    assert.equal(plainAddress('unknown'), undefined);
  });

  test('one IPv6 subscriber is one client, and logs show less', () => {
    assert.equal(clientNetwork('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
    assert.equal(clientNetwork('2001:db8:1:2::'), clientNetwork('2001:db8:1:2:ffff::1'));
    assert.notEqual(clientNetwork('2001:db8:1:2::'), clientNetwork('2001:db8:1:3::'));
    assert.equal(clientNetwork('203.0.113.7'), '203.0.113.7');
    assert.equal(truncatedAddress('203.0.113.7'), '203.0.113.0/24');
    assert.equal(truncatedAddress('2001:db8:1:2::9'), '2001:db8:1::/48');
    assert.equal(truncatedAddress('unknown'), 'unknown');
    fc.assert(
      fc.property(ipv6, (address) => {
        assert.match(clientNetwork(address), /^([0-9a-f]{1,4}:){4}:\/64$/);
      }),
    );
  });
});

type Reading = Partial<Pick<GatewayOptions, 'trustedProxies' | 'forwardedHeader'>>;

function client(headers: Record<string, string>, options: Reading = {}): ClientFacts {
  const read = clientReader({
    trustedProxies: ['10.0.0.0/8', 'loopback'],
    forwardedHeader: 'x-forwarded-for',
    ...options,
  });
  return read({ address: '::ffff:10.0.0.1', encrypted: false, headers, host: 'here' });
}

describe('the client', () => {
  test('is the peer, whatever it says, unless the peer is a trusted proxy', () => {
    const headers = {
      'x-forwarded-for': '1.1.1.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'evil',
      forwarded: 'for=1.1.1.1;proto=https;host=evil',
    };
    const facts = { address: '10.0.0.1', protocol: 'http', host: 'here' };
    assert.deepEqual(client(headers, { trustedProxies: [] }), facts);
    assert.deepEqual(client(headers, { trustedProxies: ['192.168.0.0/16'] }), facts);
  });

  const chains: readonly (readonly [value: string, address: string])[] = [
    ['203.0.113.7', '203.0.113.7'],
    // Written by the client itself, left of what the proxy saw.
    ['1.1.1.1, 203.0.113.7', '203.0.113.7'],
    ['127.0.0.1, 203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.2.3.4, 10.0.0.9', '203.0.113.7'],
    ['1.1.1.1, 203.0.113.7, 10.2.3.4', '203.0.113.7'],
    ['10.2.3.4, 10.0.0.9', '10.2.3.4'],
    ['203.0.113.7:4711', '203.0.113.7'],
    ['[2001:db8::7]:4711', '2001:db8::7'],
    ['2001:DB8::7', '2001:db8::7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    // A hop that tells nothing ends belief: the proxy that wrote it stands for the client.
    ['1.1.1.1, unknown', '10.0.0.1'],
    ['1.1.1.1, unknown, 10.0.0.9', '10.0.0.9'],
    ['1.1.1.1,', '10.0.0.1'],
    ['', '10.0.0.1'],
    ['1.1.1.1, 203.0.113.7:x y', '10.0.0.1'],
  ];
  for (const [value, address] of chains) {
    test(`X-Forwarded-For: ${value} → ${address}`, () => {
      assert.equal(client({ 'x-forwarded-for': value }).address, address);
    });
  }

  test('protocol and host are the last that was written, and only when they are such', () => {
    const told = client({
      'x-forwarded-for': '203.0.113.7',
      'x-forwarded-proto': 'http, HTTPS',
      'x-forwarded-host': 'evil, shop.example:8443',
    });
    assert.deepEqual(told, {
      address: '203.0.113.7',
      protocol: 'https',
      host: 'shop.example:8443',
    });
    const nonsense = client({ 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'a b' });
    assert.deepEqual(nonsense, { address: '10.0.0.1', protocol: 'http', host: 'here' });
  });

  test('only the declared header is read', () => {
    const headers = { 'x-forwarded-for': '203.0.113.7', forwarded: 'for=198.51.100.1' };
    assert.equal(client(headers).address, '203.0.113.7');
    const forwarded = { forwardedHeader: 'forwarded' } as const;
    assert.equal(client(headers, forwarded).address, '198.51.100.1');
    const spoofed = { 'x-forwarded-for': '1.1.1.1', 'x-forwarded-proto': 'https' };
    assert.deepEqual(client(spoofed, forwarded), {
      address: '10.0.0.1',
      protocol: 'http',
      host: 'here',
    });
  });

  test('Forwarded: the element of the client says its protocol and host', () => {
    const value =
      'for=1.1.1.1;proto=http;host=evil, For="[2001:db8::7]:80";Proto=https;host="shop.example", ' +
      'for=10.0.0.9;proto=http;host=inner';
    assert.deepEqual(client({ forwarded: value }, { forwardedHeader: 'forwarded' }), {
      address: '2001:db8::7',
      protocol: 'https',
      host: 'shop.example',
    });
    const broken = [
      'for=1.1.1.1, for',
      'for=1.1.1.1, for=2.2.2.2;for=3.3.3.3',
      'for=1.1.1.1, for=_x',
    ];
    for (const one of [...broken, 'for=1.1.1.1, for="unclosed, for=2.2.2.2']) {
      const facts = client({ forwarded: one }, { forwardedHeader: 'forwarded' });
      assert.notEqual(facts.address, '1.1.1.1', one);
    }
  });

  test('whatever is written left of the client changes nothing', () => {
    const junk = fc.stringMatching(/^[\x20-\x7e]{0,80}$/);
    fc.assert(
      fc.property(junk, ipv4, (written, address) => {
        fc.pre(!addressMatcher(['10.0.0.0/8', 'loopback'])(address));
        const facts = client({ 'x-forwarded-for': `${written}, ${address}` });
        assert.equal(facts.address, address);
      }),
    );
  });

  test('arbitrary text is read without failing, in time that grows with its length', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 500 }), (text) => {
        for (const hop of [...parseForwarded(text), ...parseForwardedFor(text)]) {
          if (hop.address !== undefined) assert.ok(plainAddress(hop.address) !== undefined);
        }
      }),
    );
    const chain = `${'10.0.0.9, '.repeat(1_500)}203.0.113.7, ${'10.0.0.9, '.repeat(40)}10.0.0.9`;
    assert.equal(client({ 'x-forwarded-for': chain }).address, '10.0.0.9');
  });
});
