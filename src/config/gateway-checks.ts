/** What keys of `gateway` must agree on, beside ports. Pure; collects every problem. */
import { isIP } from 'node:net';
import type { Problem } from '../kernel/problem.ts';
import { DEFAULTS } from './defaults.ts';
import type { GatewayConfig, IssuerConfig } from './define-gateway.ts';
import { PUBLIC_KEY_ALGORITHMS, SECRET_ALGORITHMS } from './schema-access.ts';

const KEY_SOURCES = ['jwksUrl', 'keysFile', 'keys', 'secretFile', 'secretVariable'] as const;
/** Members of a JWK that are secret. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const PUBLIC_TYPES: readonly unknown[] = ['RSA', 'EC', 'OKP'];
/** Goes into a header of the app server's requests. */
const ISSUER_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** HTTPS, or plain HTTP that does not leave this machine. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  const local =
    hostname === 'localhost' ||
    hostname === '[::1]' ||
    (isIP(hostname) === 4 && hostname.startsWith('127.'));
  return protocol === 'https:' || (protocol === 'http:' && local);
}

function checkIssuer(path: string, issuer: IssuerConfig): Problem[] {
  const problems: Problem[] = [];
  const sources = KEY_SOURCES.filter((source) => issuer[source] !== undefined);
  if (sources.length !== 1) {
    const expected = `one source of keys: ${KEY_SOURCES.join(', ')}`;
    problems.push({ path, expected, found: sources.join(' and ') || 'none' });
  }
  if (issuer.jwksUrl !== undefined && !isSafeUrl(issuer.jwksUrl)) {
    const expected = 'an https address, or http on loopback, without user and password';
    problems.push({ path: `${path}.jwksUrl`, expected, found: 'another' });
  }
  for (const [index, key] of (issuer.keys ?? []).entries()) {
    const secret = PRIVATE_MEMBERS.some((member) => key[member] !== undefined);
    if (PUBLIC_TYPES.includes(key['kty']) && !secret) continue;
    const expected = 'a public key of kty RSA, EC or OKP, without its private part';
    problems.push({ path: `${path}.keys[${String(index)}]`, expected, found: 'another key' });
  }
  const shared = issuer.secretFile !== undefined || issuer.secretVariable !== undefined;
  const allowed: readonly string[] = shared ? SECRET_ALGORITHMS : PUBLIC_KEY_ALGORITHMS;
  const other = issuer.algorithms?.find((algorithm) => !allowed.includes(algorithm));
  if (other !== undefined) {
    problems.push({
      path: `${path}.algorithms`,
      expected: `algorithms among ${allowed.join(', ')}, as the source of keys has it`,
      found: `'${other}'`,
    });
  }
  return problems;
}

function checkIssuers(gateway: GatewayConfig): Problem[] {
  const at = 'gateway.authentication.issuers';
  const issuers = Object.entries(gateway.authentication?.issuers ?? {});
  if (gateway.authentication !== undefined && issuers.length === 0) {
    return [{ path: at, expected: 'at least one issuer', found: 'none' }];
  }
  const seen = new Map<string, string>();
  return issuers.flatMap(([name, issuer]) => {
    const path = `${at}.${name}`;
    const problems = checkIssuer(path, issuer);
    if (!ISSUER_NAME.test(name)) {
      const expected = 'a name of letters, digits, hyphens and underscores, at most 64';
      problems.push({ path, expected, found: JSON.stringify(name) });
    }
    const other = seen.get(issuer.issuer);
    if (other !== undefined) {
      problems.push({
        path: `${path}.issuer`,
        expected: 'an issuer of its own',
        found: `that of ${other}`,
      });
    }
    seen.set(issuer.issuer, name);
    return problems;
  });
}

function checkTimes(gateway: GatewayConfig): Problem[] {
  const defaults = DEFAULTS.gateway.authentication;
  const { keyRefreshMs = defaults.keyRefreshMs, keyAgeMaxMs = defaults.keyAgeMaxMs } =
    gateway.authentication ?? {};
  if (keyAgeMaxMs > keyRefreshMs) return [];
  return [
    {
      path: 'gateway.authentication.keyAgeMaxMs',
      expected: `more than keyRefreshMs, which is ${String(keyRefreshMs)}`,
      found: String(keyAgeMaxMs),
    },
  ];
}

export function checkGateway(gateway: GatewayConfig): Problem[] {
  const claim = gateway.account?.findIndex((source) => source.kind === 'claim') ?? -1;
  const unverified =
    claim >= 0 && gateway.authentication === undefined
      ? [
          {
            path: `gateway.account[${String(claim)}]`,
            expected: 'gateway.authentication beside accountFromClaim',
            found: 'none',
            remedy: 'Declare the issuers of your tokens.',
          },
        ]
      : [];
  return [...unverified, ...checkIssuers(gateway), ...checkTimes(gateway)];
}
