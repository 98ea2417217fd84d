/**
 * What the schema alone cannot see: names, and keys that must agree with each other. Pure; collects
 * every problem. Runs only on declarations of the right shape.
 */
import { nearestName, type Problem } from '../kernel/problem.ts';
import { VOTERS_PER_GROUP } from '../topology/survival.ts';
import { DEFAULTS } from './defaults.ts';
import type { MeridianConfig } from './define.ts';
import { checkGateway } from './gateway-checks.ts';
import { parsePair } from './latency.ts';
import { gatewayPorts } from './ports.ts';

const PLACE_NAME = /^[a-z][a-z0-9-]{0,30}$/;
const PLACE_NAME_EXPECTED =
  'a name of lower-case letters, digits and hyphens, at most 31, beginning with a letter';
// Unquoted identifiers of PostgreSQL: what plain SQL can name on every engine.
const TABLE_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

const quote = (name: string): string => JSON.stringify(name);

function suggest(name: string, known: readonly string[]): { remedy?: string } {
  const near = nearestName(name, known);
  return near === undefined ? {} : { remedy: `Did you mean '${near}'?` };
}

function checkZones(config: MeridianConfig): Problem[] {
  const survive = config.survive ?? DEFAULTS.survive;
  return Object.entries(config.regions).flatMap(([region, { zones }]) => {
    if (zones === undefined) return [];
    const path = `regions.${region}.zones`;
    const problems: Problem[] = [];
    for (const [index, zone] of zones.entries()) {
      const at = `${path}[${String(index)}]`;
      if (!PLACE_NAME.test(zone)) {
        problems.push({ path: at, expected: PLACE_NAME_EXPECTED, found: quote(zone) });
      } else if (zones.indexOf(zone) !== index) {
        problems.push({ path: at, expected: 'each zone once', found: `${quote(zone)} again` });
      }
    }
    if (survive === 'zone' && zones.length < VOTERS_PER_GROUP) {
      problems.push({
        path,
        expected: `at least ${String(VOTERS_PER_GROUP)} zones, as survive: 'zone' needs`,
        found: String(zones.length),
        remedy: 'Name more zones, or leave the key out.',
      });
    }
    return problems;
  });
}

function checkRegions(config: MeridianConfig): Problem[] {
  const names = Object.keys(config.regions);
  const problems: Problem[] = names
    .filter((name) => !PLACE_NAME.test(name))
    .map((name) => ({
      path: `regions[${quote(name)}]`,
      expected: PLACE_NAME_EXPECTED,
      found: quote(name),
    }));
  if (names.length === 0) {
    return [{ path: 'regions', expected: 'at least one region', found: 'none' }];
  }
  if (config.survive === 'region' && names.length < VOTERS_PER_GROUP) {
    problems.push({
      path: 'survive',
      expected: `'zone', or at least ${String(VOTERS_PER_GROUP)} regions`,
      found: `'region' with ${String(names.length)}`,
      remedy: "Declare more regions, or survive the loss of a zone: survive: 'zone'.",
    });
  }
  return [...problems, ...checkZones(config), ...checkGroups(config)];
}

/** Accounts are in ranges: a group without one would be servers that nobody uses. */
function checkGroups(config: MeridianConfig): Problem[] {
  const groups = config.groupsPerRegion ?? DEFAULTS.groupsPerRegion;
  const ranges = config.rangesPerRegion ?? DEFAULTS.rangesPerRegion;
  if (ranges >= groups) return [];
  return [
    {
      path: 'rangesPerRegion',
      expected: `at least groupsPerRegion, which is ${String(groups)}`,
      found: String(ranges),
      remedy: `Write rangesPerRegion: ${String(groups)}.`,
    },
  ];
}

function checkPrimary(config: MeridianConfig): Problem[] {
  const names = Object.keys(config.regions);
  // Without regions that is the problem, told once.
  if (names.length === 0 || names.includes(config.primaryRegion)) return [];
  return [
    {
      path: 'primaryRegion',
      expected: `one of the regions ${names.join(', ')}`,
      found: quote(config.primaryRegion),
      ...suggest(config.primaryRegion, names),
    },
  ];
}

/** Groups are called after both: "eu-west-eu-only-1". */
const RESIDENCY_LENGTH_MAX = 30;
/** What `meridian rehome --residency` takes for it. */
const NO_RESIDENCY = 'none';

/** A residency that its survival goal does not fit into would have to break one of both. */
function checkResidencies(config: MeridianConfig): Problem[] {
  const names = Object.keys(config.regions);
  /** "eu" and "west-a" are joined as "eu-west" and "a" are. */
  const taken = new Set(names);
  return Object.entries(config.residency ?? {}).flatMap(([name, within]): Problem[] => {
    const path = `residency[${quote(name)}]`;
    if (!PLACE_NAME.test(name))
      return [{ path, expected: PLACE_NAME_EXPECTED, found: quote(name) }];
    if (name === NO_RESIDENCY) {
      return [
        { path, expected: 'another name: it means to be pinned to nothing', found: quote(name) },
      ];
    }
    const problems = within.flatMap((region, index): Problem[] => {
      const at = `${path}[${String(index)}]`;
      if (!names.includes(region)) {
        const expected = `one of the regions ${names.join(', ')}`;
        return [{ path: at, expected, found: quote(region), ...suggest(region, names) }];
      }
      if (within.indexOf(region) !== index) {
        return [{ path: at, expected: 'each region once', found: `${quote(region)} again` }];
      }
      const joined = `${region}-${name}`;
      if (joined.length > RESIDENCY_LENGTH_MAX || taken.has(joined)) {
        const most = String(RESIDENCY_LENGTH_MAX - 1);
        const expected = `names of at most ${most} characters together, that no region or other residency has joined`;
        return [{ path: at, expected, found: quote(joined) }];
      }
      taken.add(joined);
      return [];
    });
    if (config.survive === 'region' && within.length < VOTERS_PER_GROUP) {
      problems.push({
        path,
        expected: `at least ${String(VOTERS_PER_GROUP)} regions, as survive: 'region' needs`,
        found: String(within.length),
        remedy: "Name more regions, or survive the loss of a zone: survive: 'zone'.",
      });
    }
    return problems;
  });
}

function checkLatency(config: MeridianConfig): Problem[] {
  if (config.latency === undefined || config.latency === 'off') return [];
  return checkPairs(config, 'latency.betweenRegionsMs', config.latency.betweenRegionsMs ?? {});
}

function checkPairs(config: MeridianConfig, at: string, declared: object): Problem[] {
  const names = Object.keys(config.regions);
  const seen = new Set<string>();
  return Object.keys(declared).flatMap((key): Problem[] => {
    const path = `${at}[${quote(key)}]`;
    const pair = parsePair(key);
    if (pair === undefined || pair[0] === pair[1]) {
      const expected = "two different regions, such as 'us-east|eu-west'";
      return [{ path, expected, found: quote(key) }];
    }
    const unknown = pair.filter((name) => !names.includes(name));
    if (unknown.length > 0) {
      return unknown.map((name) => ({
        path,
        expected: `regions among ${names.join(', ')}`,
        found: quote(name),
        ...suggest(name, names),
      }));
    }
    const sorted = pair.toSorted().join('|');
    if (seen.has(sorted)) return [{ path, expected: 'each pair once', found: 'it again' }];
    seen.add(sorted);
    return [];
  });
}

function checkPorts(config: MeridianConfig): Problem[] {
  const names = Object.keys(config.regions);
  const problems = Object.keys(config.gateway?.ports ?? {})
    .filter((name) => !names.includes(name))
    .map((name): Problem => ({
      path: `gateway.ports.${name}`,
      expected: `one of the regions ${names.join(', ')}`,
      found: quote(name),
      ...suggest(name, names),
    }));
  const controlPort = config.controlPort ?? DEFAULTS.controlPort;
  const taken = new Map<number, string>(controlPort === 0 ? [] : [[controlPort, 'controlPort']]);
  for (const [region, port] of Object.entries(gatewayPorts(names, config.gateway ?? {}))) {
    if (port === 0) continue;
    const path = `gateway.ports.${region}`;
    const other = taken.get(port);
    if (other !== undefined) {
      const found = `${String(port)}, which ${other} has too`;
      problems.push({ path, expected: 'a port of its own', found });
    }
    taken.set(port, path);
  }
  return problems;
}

function checkTables(config: MeridianConfig): Problem[] {
  const expected =
    'a name of lower-case letters, digits and underscores, at most 63, not beginning with a digit';
  return Object.entries(config.tables).flatMap(([name, locality]) => {
    const problems: Problem[] = [];
    if (!TABLE_NAME.test(name)) {
      problems.push({ path: `tables[${quote(name)}]`, expected, found: quote(name) });
    }
    if (locality.kind === 'regional' && !TABLE_NAME.test(locality.by)) {
      problems.push({ path: `tables.${name}.by`, expected, found: quote(locality.by) });
    }
    return problems;
  });
}

function checkHeartbeat(config: MeridianConfig): Problem[] {
  const active = config.heartbeat?.activeMs ?? DEFAULTS.heartbeat.activeMs;
  const idle = config.heartbeat?.idleMs ?? DEFAULTS.heartbeat.idleMs;
  const problems: Problem[] = [];
  if (idle < active) {
    const expected = `at least heartbeat.activeMs, which is ${String(active)}`;
    problems.push({ path: 'heartbeat.idleMs', expected, found: String(idle) });
  }
  // Each beat renews the lease; one that comes late may not cost it.
  const lease = config.engine?.options.leaseMs ?? DEFAULTS.engine.options.leaseMs;
  if (lease < 2 * idle) {
    const expected = `at least twice heartbeat.idleMs, which is ${String(idle)}`;
    problems.push({ path: 'engine.options.leaseMs', expected, found: String(lease) });
  }
  return problems;
}

export function crossCheck(config: MeridianConfig): Problem[] {
  return [
    ...checkRegions(config),
    ...checkPrimary(config),
    ...checkResidencies(config),
    ...checkLatency(config),
    ...checkPairs(config, 'prices.perGigabyte', config.prices?.perGigabyte ?? {}),
    ...checkTables(config),
    ...checkPorts(config),
    ...checkGateway(config.gateway ?? {}),
    ...checkHeartbeat(config),
  ];
}
