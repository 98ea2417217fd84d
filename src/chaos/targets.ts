/**
 * What a fault on purpose is aimed at: the processes that run here and the declared places, and from a
 * target the ones that it means. Pure. Whatever does not exist is refused with a list of what does; the
 * supervisor itself and the emulated WAN are nobody's targets, because nothing would be left to heal by.
 */
import type { ChaosPlace, ChaosTarget } from '../control/chaos.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Locality, Region } from '../topology/region.ts';

export interface ChaosProcess {
  /** As it is started under: "us-east-1.a", "gateway.us-east", "app.us-east.0". */
  readonly name: string;
  readonly kind: 'database' | 'gateway' | 'app';
  readonly locality: Locality;
}

/** All that can be aimed at. */
export interface ChaosWorld {
  readonly processes: readonly ChaosProcess[];
  readonly regions: readonly Region[];
}

/** The processes that a target means; none for a link. Throws ERR_CONTROL_REQUEST. */
export function processesAt(target: ChaosTarget, world: ChaosWorld): readonly ChaosProcess[] {
  switch (target.kind) {
    case 'process':
      return [named(target.name, world.processes, 'process')];
    case 'node':
      return [named(target.name, databases(world.processes), 'database node')];
    case 'place':
      checkPlace(target.place, world.regions);
      return world.processes.filter(({ locality }) => isAt(locality, target.place));
    case 'link':
      checkPlace(target.from, world.regions);
      if (target.to !== undefined) {
        checkPlace(target.to, world.regions);
        if (placeText(target.from) === placeText(target.to)) {
          throw wrong(
            `a link leads from one place to another, not from ${placeText(target.to)} to itself`,
          );
        }
      }
      return [];
  }
}

export function databases(processes: readonly ChaosProcess[]): ChaosProcess[] {
  return processes.filter(({ kind }) => kind === 'database');
}

export function isAt(locality: Locality, place: ChaosPlace): boolean {
  return (
    place.region === locality.region && (place.zone === undefined || place.zone === locality.zone)
  );
}

/** As `meridian chaos` reads it: "node:us-east-1.a", "zone:us-east/a", "link:us-east..eu-west". */
export function targetText(target: ChaosTarget): string {
  switch (target.kind) {
    case 'process':
    case 'node':
      return `${target.kind}:${target.name}`;
    case 'place':
      return `${target.place.zone === undefined ? 'region' : 'zone'}:${placeText(target.place)}`;
    case 'link': {
      const to = target.to === undefined ? '' : `..${placeText(target.to)}`;
      return `link:${placeText(target.from)}${to}${target.oneWay === true ? ', one way' : ''}`;
    }
  }
}

export function placeText({ region, zone }: ChaosPlace): string {
  return zone === undefined ? region : `${region}/${zone}`;
}

function named(name: string, among: readonly ChaosProcess[], what: string): ChaosProcess {
  // Status shows an app server without its prefix.
  const found = among.find((one) => one.name === name || one.name === `app.${name}`);
  if (found !== undefined) return found;
  throw wrong(`there is no ${what} ${name}; there are ${list(among.map((one) => one.name))}`);
}

function checkPlace({ region, zone }: ChaosPlace, regions: readonly Region[]): void {
  const found = regions.find((one) => one.name === region);
  if (found === undefined) {
    const names = list(regions.map((one) => one.name));
    throw wrong(`there is no region ${region}; there are ${names}`);
  }
  if (zone === undefined || found.zones.includes(zone)) return;
  throw wrong(`there is no zone ${zone} in ${region}; there are ${list(found.zones)}`);
}

const list = (names: readonly string[]): string => names.join(', ') || 'none';

function wrong(message: string): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', message, {
    remedy: 'Name one of those that exist.',
  });
}
