/** Which declarations the stored places of data refuse. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import {
  checkPlaces,
  nodePlaces,
  asStored,
  type StoredCluster,
} from '../../src/engines/postgres/places.ts';
import type { Cluster } from '../../src/engines/postgres/cluster.ts';
import { restoreGroups, takingAgain } from '../../src/engines/postgres/ranges/draining.ts';
import { RangeRegister } from '../../src/engines/postgres/ranges/register.ts';
import { leftOut, withoutGroup, withoutNode } from '../../src/engines/postgres/left-out.ts';
import { desiredState, type Declaration } from '../../src/orchestrate/desired.ts';
import type { DesiredState } from '../../src/engines/engine.ts';
import { LATENCY, REGIONS } from './engine.fixtures.ts';

const declared = (change: Partial<Declaration> = {}): DesiredState =>
  desiredState(
    {
      ...{ regions: REGIONS, primaryRegion: 'us-east', survive: 'zone', tables: {} },
      ...{
        groupsPerRegion: 1,
        rangesPerRegion: 1,
        tenantFence: true,
        latency: { matrix: LATENCY },
      },
      ...change,
    },
    { database: [], regional: [] },
  );

/** A region that was drained. */
const GONE = { draining: ['eu-west-1'], drained: ['eu-west-1'] };

const storedOf = (desired: DesiredState, settled = true): StoredCluster => ({
  groups: Object.fromEntries(
    desired.groups.map((group) => [
      group.name,
      {
        ...{ leader: group.nodes[0]?.name ?? '', epoch: 3, settled, connectionsMax: 100 },
        nodes: nodePlaces(group),
      },
    ]),
  ),
  primaryGroup: desired.primaryGroup,
  ranges: Object.fromEntries(desired.ranges.map(({ name, group }) => [name, group])),
});

const refusal = (what: RegExp): { code: string; message: RegExp } => ({
  code: 'ERR_ENGINE_UNSUPPORTED',
  message: what,
});

describe('where data is', () => {
  test('the same declaration finds it, under either goal', () => {
    for (const survive of ['zone', 'region'] as const) {
      checkPlaces(storedOf(declared({ survive })), declared({ survive }));
    }
  });

  test('another survival goal would move the voters', () => {
    assert.throws(
      () => {
        checkPlaces(storedOf(declared()), declared({ survive: 'region' }));
      },
      refusal(/server us-east-1\.a would be left out/),
    );
    assert.throws(
      () => {
        checkPlaces(storedOf(declared({ survive: 'region' })), declared());
      },
      refusal(/server us-east-1\.us-east would be left out/),
    );
  });

  test('so it is with data of which only the leader was stored', () => {
    const { groups, ...rest } = storedOf(declared());
    const old = {
      ...rest,
      groups: Object.fromEntries(
        Object.entries(groups).map(([name, group]) => {
          const { nodes: _, ...without } = group;
          return [name, without];
        }),
      ),
    };
    checkPlaces(old, declared());
    assert.throws(
      () => {
        checkPlaces(old, declared({ survive: 'region' }));
      },
      refusal(/us-east-1\.a would be left out/),
    );
  });

  test('round trips that bring another region nearer would move a vote', () => {
    const four = [...REGIONS, { name: 'sa-east', zones: ['a', 'b', 'c'] }];
    const matrix = (saEastMs: number): Partial<Declaration> => ({
      ...{ regions: four, survive: 'region' },
      latency: {
        matrix: {
          ...LATENCY,
          betweenRegionsMs: { ...LATENCY.betweenRegionsMs, 'sa-east|us-east': saEastMs },
        },
      },
    });
    assert.throws(
      () => {
        checkPlaces(storedOf(declared(matrix(300))), declared(matrix(20)));
      },
      refusal(/server us-east-1\.\S+, a (non-)?voter in \S+, would become a (non-)?voter/),
    );
  });

  test('a start that had not come to data yet may be declared anew', () => {
    const { groups } = storedOf(declared(), false);
    checkPlaces({ groups }, declared({ survive: 'region' }));
  });

  test('a new region gets copies for reads, and takes none away', () => {
    const four = [...REGIONS, { name: 'sa-east', zones: ['a', 'b', 'c'] }];
    checkPlaces(storedOf(declared()), declared({ regions: four }));
    assert.throws(
      () => {
        checkPlaces(storedOf(declared({ regions: four })), declared());
      },
      refusal(/group sa-east-1 would be left out/),
    );
  });

  test('ranges keep the names that they have, whatever else is declared', () => {
    const stored = storedOf(declared({ rangesPerRegion: 2 }));
    const four = [...REGIONS, { name: 'sa-east', zones: ['a', 'b', 'c'] }];
    const next = declared({ regions: four, rangesPerRegion: 3 });
    assert.throws(
      () => {
        checkPlaces(stored, next);
      },
      refusal(/range r0004 would move/),
    );
    const named = asStored({ ...stored, madeRanges: ['s0001'] }, next);
    checkPlaces(stored, named);
    const at = (group: string): readonly string[] =>
      named.ranges.filter((range) => range.group === group).map(({ name }) => name);
    assert.deepEqual(at('us-east-1'), ['r0001', 'r0004', 'r0009']);
    assert.deepEqual(at('sa-east-1'), ['r0007', 'r0008', 'r0012']);
    assert.equal(new Set(named.ranges.map(({ name }) => name)).size, 12);
    // Of a moved range where it is declared counts; and without any data all is as declared.
    const moved = { ...stored, ranges: { ...stored.ranges, r0001: 'eu-west-1' } };
    const away = { ...moved, movedFrom: { r0001: 'us-east-1' } };
    assert.deepEqual(asStored(away, next), asStored(stored, next));
    assert.equal(asStored({ groups: {} }, next), next);
  });

  test('a region that is drained may be left out, and one that is being drained may not yet', () => {
    const two = REGIONS.filter(({ name }) => name !== 'eu-west');
    const stored = storedOf(declared());
    const without = (drains: Partial<StoredCluster>): (() => void) => {
      const data = { ...stored, ...drains };
      return () => {
        checkPlaces(data, asStored(data, declared({ regions: two })));
      };
    };
    assert.throws(without({}), refusal(/group eu-west-1 would be left out, and this release/));
    assert.throws(
      without({ draining: ['eu-west-1'] }),
      refusal(/group eu-west-1 would be left out, and is still being drained/),
    );
    without({ draining: ['eu-west-1'], drained: ['eu-west-1'] })();
    // Another one has the range by now: it stays with it.
    const moved = {
      ranges: { ...stored.ranges, r0002: 'us-east-1' },
      movedFrom: { r0002: 'eu-west-1' },
    };
    without({ ...moved, draining: ['eu-west-1'], drained: ['eu-west-1'] })();
  });

  test('single copies stay in the zones that they were dealt, whatever else is declared', () => {
    const stored = storedOf(declared());
    const two = declared({ regions: REGIONS.filter(({ name }) => name !== 'eu-west') });
    const zoneOf = (state: DesiredState): string | undefined =>
      state.groups.flatMap(({ nodes }) => nodes).find(({ name }) => name === 'ap-south-1.us-east')
        ?.locality.zone;
    assert.notEqual(zoneOf(two), zoneOf(declared()));
    assert.equal(zoneOf(asStored(stored, two)), zoneOf(declared()));
    // A zone that the region has no more is none to stay in.
    const renamed = REGIONS.map((region) => ({ ...region, zones: ['x', 'y', 'z'] }));
    const elsewhere = declared({ regions: renamed });
    assert.equal(zoneOf(asStored(stored, elsewhere)), zoneOf(elsewhere));
  });

  test('what is left out is forgotten, and its ranges’ names are never given again', () => {
    const desired = declared();
    const stored: StoredCluster = {
      ...storedOf(desired),
      ranges: {
        ...{ r0001: 'us-east-1', r0002: 'us-east-1', r0003: 'eu-west-1', r0009: 'eu-west-1' },
        s0001: 'eu-west-1',
      },
      movedFrom: { r0002: 'eu-west-1', r0003: 'ap-south-1' },
      ...{ madeRanges: ['s0001'], draining: ['eu-west-1'], drained: ['eu-west-1'] },
    };
    const two = declared({ regions: REGIONS.filter(({ name }) => name !== 'eu-west') });
    assert.deepEqual(leftOut(stored, two), {
      groups: {
        'eu-west-1': ['a', 'b', 'c', 'us-east', 'ap-south'].map((name) => `eu-west-1.${name}`),
      },
      nodes: { 'us-east-1.eu-west': 'us-east-1', 'ap-south-1.eu-west': 'ap-south-1' },
    });
    const forgotten = ['us-east-1', 'ap-south-1'].reduce(
      (data, group) => withoutNode(data, group, `${group}.eu-west`),
      withoutGroup(stored, 'eu-west-1'),
    );
    assert.deepEqual(leftOut(forgotten, two), { groups: {}, nodes: {} });
    assert.deepEqual(forgotten.formerEpochs, { 'eu-west-1': 3 });
    const { ranges, movedFrom, madeRanges, declaredNumber, draining, drained } = forgotten;
    assert.deepEqual(
      { ranges, movedFrom, madeRanges, declaredNumber, draining, drained },
      {
        ranges: { r0001: 'us-east-1', r0002: 'us-east-1' },
        ...{ movedFrom: {}, madeRanges: ['r0002'], declaredNumber: 9, draining: [], drained: [] },
      },
    );
    const names = asStored(forgotten, declared()).ranges.map(({ name }) => name);
    assert.deepEqual(names, ['r0001', 'r0010', 'r0011']);
  });

  test('a range that is on its way from or to a group that is left out', () => {
    const stored = { ...storedOf(declared()), ...GONE };
    const regions = REGIONS.filter(({ name }) => name !== 'eu-west');
    const two = asStored(stored, declared({ regions }));
    checkPlaces(stored, two);
    for (const move of [
      { from: 'eu-west-1', to: 'us-east-1' },
      { from: 'us-east-1', to: 'eu-west-1' },
    ]) {
      assert.throws(
        () => {
          checkPlaces({ ...stored, moves: { s0001: move } }, two);
        },
        { code: 'ERR_ENGINE_UNSUPPORTED', message: /s0001 is on its way from/ },
      );
    }
  });

  test('ranges that no declaration knows are prepared where they are, if that group stays', () => {
    const stored = {
      ...storedOf(declared()),
      ...GONE,
      ranges: { r0001: 'us-east-1', r0002: 'us-east-1', r0003: 'ap-south-1', s0001: 'eu-west-1' },
      ...{ movedFrom: { r0002: 'eu-west-1' }, madeRanges: ['s0001'] },
    };
    const two = declared({ regions: REGIONS.filter(({ name }) => name !== 'eu-west') });
    const register = new RangeRegister({ read: () => stored, write: () => Promise.resolve() });
    const named = asStored(stored, two);
    register.declare(named.ranges);
    const placed = register.placed(named, () => false).ranges;
    assert.deepEqual(
      placed.map(({ name, group }) => `${name} in ${group}`),
      // r0002 came from the group that goes; s0001 is empty, and goes with it.
      ['r0001 in us-east-1', 'r0003 in ap-south-1', 'r0002 in us-east-1'],
    );
    const orphans = placed.filter(({ name }) => register.isOrphan(name, two));
    assert.deepEqual(
      orphans.map(({ name }) => name),
      ['r0002'],
    );
    assert.deepEqual(
      register.placed(named, (range) => range === 'r0002').ranges.map(({ name }) => name),
      ['r0001', 'r0003'],
    );
  });

  test('whoever dies while a region is restored that was not to go leaves it as it was', async () => {
    let stored: StoredCluster = { ...storedOf(declared()), draining: ['ap-south-1'] };
    const register = new RangeRegister({
      read: () => stored,
      write: (change) => {
        stored = { ...stored, ...change };
        return Promise.resolve();
      },
    });
    const closed = { register, groups: new Map() } as unknown as Cluster;
    await assert.rejects(restoreGroups(closed, ['eu-west-1', 'ap-south-1']), {
      code: 'ERR_ENGINE_UNAVAILABLE',
    });
    assert.deepEqual(stored.draining, ['ap-south-1']);
  });

  test('a range in a group that goes takes no accounts again when the group goes on that it is declared in', () => {
    const stored: StoredCluster = {
      ...storedOf(declared()),
      ranges: { r0001: 'us-east-1', r0002: 'ap-south-1', r0003: 'ap-south-1' },
      ...{ movedFrom: { r0002: 'eu-west-1' }, draining: ['eu-west-1', 'ap-south-1'] },
    };
    const register = new RangeRegister({ read: () => stored, write: () => Promise.resolve() });
    assert.deepEqual(takingAgain(register, ['eu-west-1']), ['r0001']);
    assert.deepEqual(takingAgain(register, ['ap-south-1']), ['r0001', 'r0003']);
    const both = takingAgain(register, ['eu-west-1', 'ap-south-1']);
    assert.deepEqual(both, ['r0001', 'r0002', 'r0003']);
  });

  test('a range that was moved is declared where it came from', () => {
    const desired = declared({ rangesPerRegion: 2 });
    const stored = storedOf(desired);
    const moved = { ...stored.ranges, r0001: 'eu-west-1' };
    checkPlaces({ ...stored, ranges: moved, movedFrom: { r0001: 'us-east-1' } }, desired);
    assert.throws(
      () => {
        checkPlaces({ ...stored, ranges: moved }, desired);
      },
      refusal(/range r0001 would move from eu-west-1 to us-east-1/),
    );
  });
});
