/** Checks of ports, of who can reach them, and of the keys that tokens are verified with. Pure. */
import { isIPv4 } from 'node:net';
import type { DeclaredFacts, PortFacts } from './facts.ts';
import { failure, ok, warning, type Verdict } from './verdict.ts';

export function ports(declared: DeclaredFacts): readonly Verdict[] {
  const { ports: all } = declared;
  if (all.length === 0) return [ok('free ones are picked at each start')];
  return all.map((port) => judgePort(port, declared));
}

function judgePort(port: PortFacts, { running }: DeclaredFacts): Verdict {
  const at = `${port.key}: ${port.address} port ${String(port.port)}`;
  switch (port.state) {
    case 'free':
      return ok(`${at} is free`);
    case 'no-address':
      return failure(
        `${at}: this machine has no such address`,
        'Correct gateway.listenAddress: 127.0.0.1, 0.0.0.0 or an address of this machine.',
      );
    case 'denied':
      return failure(
        `${at} may not be opened by this account`,
        'Declare a port above 1023, or allow it (CAP_NET_BIND_SERVICE).',
      );
    case 'taken':
      return judgeTaken(at, port, running);
  }
}

function judgeTaken(at: string, port: PortFacts, running: DeclaredFacts['running']): Verdict {
  if (running?.ports?.includes(port.port) === true) return ok(`${at} is held by this platform`);
  if (running !== undefined && running.ports === undefined) {
    return warning(
      `${at} is taken, perhaps by process ${String(running.pid)}, which runs this installation`,
      'Look again when it answers.',
    );
  }
  const key = port.key === 'controlPort' ? 'controlPort' : 'gateway.ports or gateway.basePort';
  return failure(
    `${at} is taken by another program`,
    `End that program, or declare another port in ${key}.`,
  );
}

const isLoopback = (address: string): boolean =>
  isIPv4(address) ? address.startsWith('127.') : address === '::1';

export function exposure({ config }: DeclaredFacts): Verdict {
  const { listenAddress, authentication } = config.gateway;
  if (isLoopback(listenAddress)) return ok(`gateways listen at ${listenAddress} alone`);
  const found = `gateways listen at ${listenAddress}, beyond this machine`;
  if (authentication === undefined) {
    return warning(
      `${found}, and verify no tokens`,
      'Declare gateway.authentication, unless the application verifies every request itself.',
    );
  }
  if (!authentication.required) {
    return warning(
      `${found}, and pass requests without a token`,
      'Set gateway.authentication.required, unless the application refuses them.',
    );
  }
  return ok(`${found}, and ask for a token`);
}

export function proxies({ config }: DeclaredFacts): Verdict | undefined {
  const { listenAddress, trustedProxies } = config.gateway;
  if (isLoopback(listenAddress)) return undefined;
  if (trustedProxies.length > 0) return ok(`trusted: ${trustedProxies.join(', ')}`);
  return warning(
    'gateways speak plain HTTP beyond this machine, and trust no proxy in front',
    'Put a proxy that ends TLS in front, and name it in gateway.trustedProxies.',
  );
}

export function keys({ config, missingKeys }: DeclaredFacts): readonly Verdict[] {
  if (config.gateway.authentication === undefined) return [];
  if (missingKeys.length === 0) return [ok('every file and variable with keys is there')];
  return missingKeys.map((what) =>
    failure(`${what} is not there`, 'Provide it, or correct gateway.authentication.issuers.'),
  );
}
