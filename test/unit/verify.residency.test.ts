/** Accounts that are pinned, and rows of them where they must not be. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { residency } from '../../src/verify/checkers/residency.ts';
import type { AccountHomes, Residents, Verdict } from '../../src/verify/history.ts';
import { judge } from '../../src/verify/judging.ts';
import { pinnedOf } from '../../src/verify/strays.ts';
import { planFaults } from '../../src/verify/nemesis/plan.ts';
import { rangeToMove } from '../../src/verify/nemesis/scene.ts';
import type { RoutedGroup, RoutingView } from '../../src/topology/routing.ts';
import { historyOf, saidBy } from '../support/histories.ts';

const SEEN: Residents = {
  ...{ residency: 'eu-only', groups: ['eu-eu-only-1'], accounts: ['anna', 'bert'] },
  ...{ servers: ['us-1.a'], looks: 3, strays: [] },
};
const home = (account: string, told: string): AccountHomes => ({ account, found: [], told });
const check = (seen: Partial<Residents>, homes: readonly AccountHomes[] = []): Verdict =>
  residency.check(historyOf([], { homes }, { residents: { ...SEEN, ...seen } }));

describe('residency', () => {
  test('rows inside, and others anywhere', () => {
    const verdict = check({}, [home('anna', 'r3 in eu-eu-only-1'), home('carl', 'r1 in us-1')]);
    assert.deepEqual(verdict.violations, []);
    assert.deepEqual(verdict.covered, { accounts: 2, servers: 1, looks: 3 });
  });

  test('rows outside, and an account that is told to be outside', () => {
    assert.deepEqual(saidBy(check({ strays: [{ account: 'anna', node: 'us-1.a', atMs: 12.4 }] })), [
      'us-1.a had rows of anna at 12 ms, which is pinned to eu-only',
    ]);
    assert.deepEqual(saidBy(check({}, [home('bert', 'r1 in us-1')])), [
      'bert is said to be in r1 in us-1, and is pinned to eu-only',
    ]);
  });

  test('is asked about only where somebody is pinned', () => {
    const checkersOf = (history: Parameters<typeof judge>[0]['history']): string[] =>
      judge({ history, complete: true }, { faults: false }).verdicts.map(({ checker }) => checker);
    assert.ok(!checkersOf(historyOf([])).includes('residency'));
    assert.ok(checkersOf(historyOf([], {}, { residents: SEEN })).includes('residency'));
  });
});

describe('servers outside a residency', () => {
  const group = (name: string, regions: readonly string[], pinned?: string): RoutedGroup => ({
    ...{ name, homeRegion: regions[0] ?? '', epoch: 1, leader: undefined, residency: pinned },
    nodes: regions.map((region, at) => ({
      ...{ name: `${name}.${String(at)}`, kind: 'voter', locality: { region, zone: 'a' } },
      ...{ address: { host: '127.0.0.1', port: 1 }, roundTripMs: 0 },
    })),
  });
  const view: Pick<RoutingView, 'groups' | 'ranges'> = {
    groups: Object.fromEntries(
      [
        group('us-1', ['us', 'us', 'eu']),
        group('eu-1', ['eu', 'eu', 'us']),
        group('eu-eu-only-1', ['eu', 'eu', 'eu'], 'eu-only'),
      ].map((one) => [one.name, one]),
    ),
    ranges: Object.fromEntries(
      [
        ['r1', 'us-1'],
        ['r2', 'eu-1'],
        ['r3', 'us-1'],
        ['r5', 'eu-eu-only-1'],
      ].map(([name = '', of = '']) => [name, { name, group: of, epoch: 1 }]),
    ),
  };

  test('are those in other regions, of whichever group', () => {
    const accounts = [
      { id: 'anna', region: 'eu', group: 'eu-eu-only-1', residency: 'eu-only' },
      // It was asked for, and did not come there.
      { id: 'bert', region: 'eu', group: 'eu-1', residency: 'eu-only' },
      { id: 'carl', region: 'eu', group: 'eu-1' },
    ];
    assert.deepEqual(pinnedOf(view, accounts, { name: 'eu-only', regions: ['eu'] }), {
      ...{ residency: 'eu-only', groups: ['eu-eu-only-1'], accounts: ['anna', 'bert'] },
      nodes: ['us-1.0', 'us-1.1', 'eu-1.2'],
    });
    assert.equal(pinnedOf(view, accounts, undefined), undefined);
  });

  test('are sent other ranges than those that are pinned', () => {
    assert.deepEqual(rangeToMove({ view }, { group: 'eu-1' }), { range: 'r2', to: 'us-1' });
    assert.deepEqual(rangeToMove({ view }, { group: 'us-1' }), { range: 'r1', to: 'eu-1' });
  });

  test('are asked for what is pinned, once in each round of what is moved', () => {
    const planned = planFaults({
      ...{ seed: 1, durationMs: 60_000, faults: ['move', 'split', 'merge', 'rehome'] },
      ...{ layout: 'zone', groups: Object.values(view.groups), nonVoters: true },
    });
    const steps = planned.flatMap((move) => move.steps);
    const leaving = steps.filter((step) => step.do === 'begin-rehome' && step.pinned === true);
    assert.notEqual(leaving.length, 0);
    const aimed = steps.flatMap((step) => ('group' in step ? [step.group] : []));
    assert.ok(!aimed.includes('eu-eu-only-1'), aimed.join());
  });
});
