/** Whom followers stream from: never anybody who could be ahead of the next leader. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { chooseUpstreams } from '../../src/engines/postgres/arbiter/upstreams.ts';
import type { GroupSpec } from '../../src/topology/node.ts';
import { desiredState } from '../../src/orchestrate/desired.ts';
import { present } from '../../src/kernel/assert.ts';
import { LATENCY, REGIONS } from './engine.fixtures.ts';

const spec: GroupSpec = present(
  desiredState(
    {
      ...{ regions: REGIONS, primaryRegion: 'us-east', survive: 'zone', tables: {} },
      ...{ groupsPerRegion: 1, rangesPerRegion: 1, tenantFence: true },
      latency: { matrix: LATENCY },
    },
    { database: [], regional: [] },
  ).groups[0],
  'a group',
);
const namesOf = (kind: 'voter' | 'non-voter'): string[] =>
  spec.nodes.filter((node) => node.kind === kind).map((node) => node.name);
const [A = '', B = '', C = ''] = namesOf('voter');
const [N = '', M = ''] = namesOf('non-voter');
const VOTERS = new Set([A, B, C]);

const choose = (
  leader: string,
  unfit: readonly string[] = [],
  current: ReadonlyMap<string, string> = new Map(),
): Map<string, string> =>
  chooseUpstreams({ spec, leader, voters: VOTERS, unfit: new Set(unfit), current });

describe('upstreams', () => {
  test('voters follow the leader, non-voters are spread over its voting followers', () => {
    const chosen = choose(A);
    assert.equal(chosen.get(A), undefined);
    assert.deepEqual([chosen.get(B), chosen.get(C)], [A, A]);
    assert.deepEqual([chosen.get(N), chosen.get(M)].sort(), [B, C].sort());
  });

  test('who need not move stays, also when another choice would spread better', () => {
    const current = new Map([
      [N, C],
      [M, C],
    ]);
    const chosen = choose(A, [], current);
    assert.deepEqual([chosen.get(N), chosen.get(M)], [C, C]);
  });

  test('who hung on the new leader moves away from it', () => {
    const current = new Map([
      [N, B],
      [M, C],
    ]);
    const chosen = choose(B, [A], current);
    assert.deepEqual([chosen.get(N), chosen.get(M)], [C, C]);
  });

  test('with no voting follower fit they wait for one, and not at the leader', () => {
    const chosen = choose(A, [B, C]);
    for (const name of [N, M]) assert.ok([B, C].includes(chosen.get(name) ?? ''));
  });

  test('of a group that was recovered by force the voters are what is left', () => {
    const recovered = { spec, leader: N, voters: new Set([N, M]), unfit: new Set([A, B, C]) };
    const chosen = chooseUpstreams({ ...recovered, current: new Map() });
    assert.equal(chosen.get(M), N);
    for (const name of [A, B, C]) assert.equal(chosen.get(name), M);
  });

  test('a copy that was left alone is everybody’s upstream', () => {
    const recovered = { spec, leader: N, voters: new Set([N]), unfit: new Set([A, B, C, M]) };
    const chosen = chooseUpstreams({ ...recovered, current: new Map() });
    for (const name of [A, B, C, M]) assert.equal(chosen.get(name), N);
  });

  test('laws: everybody but the leader has one, no non-voter has the leader, hosts are fit if any is', () => {
    const names = spec.nodes.map((node) => node.name);
    const someNames = fc.subarray(names);
    const current = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)));
    fc.assert(
      fc.property(fc.constantFrom(A, B, C), someNames, current, (leader, unfit, pairs) => {
        const before = new Map(pairs);
        const chosen = choose(leader, unfit, before);
        assert.deepEqual([...chosen.keys()].sort(), names.filter((one) => one !== leader).sort());
        const followers = [A, B, C].filter((name) => name !== leader);
        const fit = followers.filter((name) => !unfit.includes(name));
        for (const name of [N, M]) {
          const host = chosen.get(name) ?? '';
          assert.ok((fit.length > 0 ? fit : followers).includes(host), `${name} at ${host}`);
          const was = before.get(name) ?? '';
          if (fit.includes(was)) assert.equal(host, was, 'sticky');
        }
        for (const name of followers) assert.equal(chosen.get(name), leader);
        // Choosing again moves nobody.
        assert.deepEqual(choose(leader, unfit, chosen), chosen);
      }),
    );
  });
});
