/** Who plays which role right now, from the newest routing view. Pure. */
import type { ChaosPlace, ChaosTarget } from '../../control/chaos.ts';
import { residencyOf } from '../../topology/residency.ts';
import type { RoutedGroup, RoutedNode, RoutingView } from '../../topology/routing.ts';
import type { Region } from '../../topology/region.ts';
import type { SurvivalGoal } from '../../topology/survival.ts';
import type { Who } from './steps.ts';

export interface Scene {
  readonly view: RoutingView;
  readonly layout: SurvivalGoal;
  readonly regions: readonly Region[];
  /** By group: who led it last, for when nobody does. */
  readonly lastLeaders: ReadonlyMap<string, string>;
  /** Names of processes by region. */
  readonly apps: Readonly<Record<string, readonly string[]>>;
  readonly gateways: Readonly<Record<string, readonly string[]>>;
}

export function leaderOf(scene: Scene, group: string): string | undefined {
  return scene.view.groups[group]?.leader ?? scene.lastLeaders.get(group);
}

/** Database servers in a role; none for app servers and gateways. */
export function nodesOf(scene: Scene, who: Who): readonly RoutedNode[] {
  if (!('group' in who)) return [];
  const nodes = sorted(scene.view.groups[who.group]);
  const leader = leaderOf(scene, who.group);
  const followers = nodes.filter(({ kind, name }) => kind === 'voter' && name !== leader);
  switch (who.of) {
    case 'leader':
      return nodes.filter(({ name }) => name === leader);
    case 'followers':
      return followers;
    case 'follower':
      return followers.slice(0, 1);
    case 'non-voter':
      return nodes.filter(({ kind }) => kind === 'non-voter').slice(0, 1);
  }
}

/** Names of processes to strike. */
export function processesOf(scene: Scene, who: Who): readonly string[] {
  if (who.of === 'app') return (scene.apps[who.region] ?? []).slice(0, 1);
  if (who.of === 'apps') return Object.values(scene.apps).flatMap((names) => names.slice(0, 1));
  if (who.of === 'gateway') return (scene.gateways[who.region] ?? []).slice(0, 1);
  return nodesOf(scene, who).map(({ name }) => name);
}

/** The voter after the leader, in the order of names. */
export function nextInLine(scene: Scene, group: string): RoutedNode | undefined {
  const voters = sorted(scene.view.groups[group]).filter(({ kind }) => kind === 'voter');
  const leader = leaderOf(scene, group);
  const at = voters.findIndex(({ name }) => name === leader);
  return voters[(at + 1) % voters.length];
}

/**
 * Which range leaves a group, and for where; or which one comes home. Accounts of a region are all in its
 * first range (accounts.ts), and those ranges are the first of all. What is pinned stays.
 */
export function rangeToMove(
  { view }: { readonly view: Pick<RoutingView, 'groups' | 'ranges'> },
  { group, into }: { readonly group?: string; readonly into?: string },
): { readonly range: string; readonly to: string } | undefined {
  const groups = Object.keys(view.groups)
    .filter((name) => residencyOf(view.groups[name]) === null)
    .sort();
  const moving = Object.keys(view.ranges).sort().slice(0, groups.length);
  if (into !== undefined) {
    const range = moving.find((name) => view.ranges[name]?.group !== into);
    return range === undefined ? undefined : { range, to: into };
  }
  if (group === undefined) return undefined;
  const away = moving.find((range) => view.ranges[range]?.group === group);
  const next = groups[(groups.indexOf(group) + 1) % groups.length];
  if (away !== undefined && next !== undefined) return { range: away, to: next };
  const [home] = moving;
  return home === undefined ? undefined : { range: home, to: group };
}

/** What fails as a whole: a zone, or with region survival a region. */
export function placesOf(scene: Scene, who: Who): readonly ChaosPlace[] {
  return nodesOf(scene, who).map(({ locality: { region, zone } }) =>
    scene.layout === 'region' ? { region } : { region, zone },
  );
}

/** The links to cut so that nothing leaves a place ('out'), enters it ('in'), or both. */
export function cutsOf(
  scene: Scene,
  place: ChaosPlace,
  way: 'both' | 'out' | 'in',
): readonly ChaosTarget[] {
  if (way === 'both') return [{ kind: 'link', from: place }];
  if (way === 'out') return [{ kind: 'link', from: place, oneWay: true }];
  return elsewhere(scene.regions, place).map((from) => {
    return { kind: 'link', from, to: place, oneWay: true };
  });
}

/** The zone of whom, with that of each other voter of its group. */
export function betweenVoters(
  scene: Scene,
  who: Who,
): readonly { readonly from: ChaosPlace; readonly to: ChaosPlace }[] {
  if (!('group' in who)) return [];
  const voters = sorted(scene.view.groups[who.group]).filter(({ kind }) => kind === 'voter');
  return nodesOf(scene, who).flatMap((one) =>
    voters
      .filter(({ name }) => name !== one.name)
      .map((other) => ({ from: zoneOf(one), to: zoneOf(other) })),
  );
}

function zoneOf({ locality: { region, zone } }: RoutedNode): ChaosPlace {
  return { region, zone };
}

function elsewhere(regions: readonly Region[], place: ChaosPlace): ChaosPlace[] {
  const others = regions.filter(({ name }) => name !== place.region);
  const zones = regions.find(({ name }) => name === place.region)?.zones ?? [];
  const siblings = place.zone === undefined ? [] : zones.filter((zone) => zone !== place.zone);
  return [
    ...others.map(({ name }) => ({ region: name })),
    ...siblings.map((zone) => ({ region: place.region, zone })),
  ];
}

/** Groups whose leaders are among the servers. */
export function ledBy(scene: Scene, nodes: readonly string[]): readonly string[] {
  return Object.keys(scene.view.groups).filter((group) => {
    const leader = leaderOf(scene, group);
    return leader !== undefined && nodes.includes(leader);
  });
}

/** Groups whose leaders are in the places. */
export function ledIn(scene: Scene, places: readonly ChaosPlace[]): readonly string[] {
  const inside = Object.values(scene.view.groups).flatMap((group) =>
    group.nodes.filter(({ locality }) =>
      places.some(
        ({ region, zone }) =>
          region === locality.region && (zone === undefined || zone === locality.zone),
      ),
    ),
  );
  return ledBy(
    scene,
    inside.map(({ name }) => name),
  );
}

function sorted(group: RoutedGroup | undefined): readonly RoutedNode[] {
  return (group?.nodes ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
