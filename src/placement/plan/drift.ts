/** Where a running cluster is otherwise than it is declared, and what would bring it back. Pure. */
import type { DeclaredPlacement } from '../../topology/declared.ts';
import { layoutGroups } from '../../topology/survival.ts';

/** What drift is seen in, of a status report. */
export interface Standing {
  readonly groups: readonly {
    readonly name: string;
    readonly leader: string | null;
    readonly ranges: readonly string[];
  }[];
  readonly nodes: readonly {
    readonly name: string;
    readonly group: string;
    readonly kind: 'voter' | 'non-voter';
    readonly region: string;
    readonly state: string;
  }[];
  /** Ranges that are declared → the group that they are declared in. */
  readonly declaredRanges: Readonly<Record<string, string>>;
  /** Ranges that splits have made. */
  readonly madeRanges: readonly string[];
}

export interface Drift {
  readonly what: string;
  readonly remedy: string;
}

export function driftOf(placement: DeclaredPlacement, standing: Standing): readonly Drift[] {
  return [...leaders(placement, standing), ...servers(placement, standing), ...ranges(standing)];
}

function leaders(placement: DeclaredPlacement, { groups, nodes }: Standing): Drift[] {
  const homes = new Map(layoutGroups(placement).map(({ name, homeRegion }) => [name, homeRegion]));
  return groups.flatMap(({ name, leader }): Drift[] => {
    const home = homes.get(name);
    if (leader === null) {
      return [
        {
          what: `${name} has no leader`,
          remedy: 'See meridian status: it says what is waited for.',
        },
      ];
    }
    const region = nodes.find((node) => node.name === leader)?.region;
    if (home === undefined || region === undefined || region === home) return [];
    return [
      {
        what: `${name} is led from ${region}, and its home is ${home}`,
        remedy: `meridian switchover ${name} --region ${home}`,
      },
    ];
  });
}

function servers(placement: DeclaredPlacement, { nodes }: Standing): Drift[] {
  const seen = new Map(nodes.map((node) => [node.name, node]));
  return layoutGroups(placement)
    .flatMap((group) => group.nodes)
    .flatMap(({ name, kind }): Drift[] => {
      const node = seen.get(name);
      if (node === undefined)
        return [{ what: `${name} is not there`, remedy: 'The next start makes it.' }];
      if (node.kind !== kind) {
        return [
          {
            what: `${name} is a ${node.kind}, and is declared a ${kind}`,
            remedy: 'It votes again when the group is whole; see meridian status.',
          },
        ];
      }
      if (node.state === 'leader' || node.state === 'streaming') return [];
      return [
        {
          what: `${name} is ${node.state}`,
          remedy: `It is looked after; if that lasts: meridian rebuild ${name}`,
        },
      ];
    });
}

function ranges({ groups, declaredRanges, madeRanges }: Standing): Drift[] {
  const at = new Map(groups.flatMap(({ name, ranges: held }) => held.map((one) => [one, name])));
  const away = Object.entries(declaredRanges).flatMap(([range, group]): Drift[] => {
    const there = at.get(range);
    if (there === undefined || there === group) return [];
    return [
      {
        what: `${range} is in ${there}, and is declared in ${group}`,
        remedy: `meridian move ${range} --to ${group}`,
      },
    ];
  });
  return [
    ...away,
    ...madeRanges.map((range) => ({
      what: `${range} was split off, and is not declared`,
      remedy: `Nothing has to be done; meridian merge ${range} --into a range of ${at.get(range) ?? 'its group'} brings its accounts back`,
    })),
  ];
}
