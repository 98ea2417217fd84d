/** Which traffic a cut stops: decided without any socket. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { addRule, CUT_RULES_MAX, cutState, type CutRule } from '../../src/wan/cuts.ts';
import type { CutSelector, CutState, LinkRequest } from '../../src/wan/link.ts';

const address = (port: number) => ({ host: '127.0.0.1', port });
const link = (from: string, to: string, port = 1): LinkRequest => {
  const [fromRegion = '', fromZone = ''] = from.split('/');
  const [toRegion = '', toZone = ''] = to.split('/');
  return {
    from: { region: fromRegion, zone: fromZone },
    to: { region: toRegion, zone: toZone },
    target: address(port),
  };
};
const after = (...rules: readonly [CutRule['verb'], CutSelector][]): readonly CutRule[] =>
  rules.reduce<readonly CutRule[]>((all, [verb, selector]) => addRule(all, { verb, selector }), []);
const us = { region: 'us' };
const eu = { region: 'eu' };

describe('a cut', () => {
  const cases: readonly [string, CutSelector, LinkRequest, CutState][] = [
    ['between regions, dialled one way', { from: us, to: eu }, link('us/a', 'eu/b'), 'both'],
    ['between regions, dialled the other', { from: us, to: eu }, link('eu/b', 'us/a'), 'both'],
    ['spares other pairs', { from: us, to: eu }, link('us/a', 'ap/a'), 'none'],
    ['one way, along', { from: us, to: eu, oneWay: true }, link('us/a', 'eu/b'), 'forward'],
    ['one way, against', { from: us, to: eu, oneWay: true }, link('eu/b', 'us/a'), 'backward'],
    ['of a region', { from: us }, link('us/a', 'eu/b'), 'both'],
    ['of a region, inside', { from: us }, link('us/a', 'us/b'), 'none'],
    ['of what a region sends', { from: us, oneWay: true }, link('eu/a', 'us/b'), 'backward'],
    ['of what a region gets', { to: us, oneWay: true }, link('eu/a', 'us/b'), 'forward'],
    ['of a zone', { from: { region: 'us', zone: 'a' } }, link('us/b', 'us/a'), 'both'],
    ['of a zone, elsewhere', { from: { region: 'us', zone: 'a' } }, link('eu/a', 'us/b'), 'none'],
    ['inside one zone', { from: { zone: 'a' }, to: { zone: 'a' } }, link('us/a', 'us/a'), 'both'],
    ['of everything', {}, link('us/a', 'us/a'), 'both'],
    ['of a target', { target: address(1) }, link('us/a', 'us/a', 1), 'both'],
    ['of another target', { target: address(2) }, link('us/a', 'us/a', 1), 'none'],
    ['of a target from a place', { from: us, target: address(1) }, link('eu/a', 'us/a'), 'none'],
    ['to a target, one way', { target: address(1), oneWay: true }, link('eu/a', 'us/a'), 'forward'],
  ];
  for (const [name, selector, request, expected] of cases) {
    test(`${name}: ${expected}`, () => {
      assert.equal(cutState(after(['cut', selector]), request), expected);
    });
  }

  test('can be healed in part', () => {
    const rules = after(['cut', { from: us }], ['heal', { from: us, to: eu }]);
    assert.equal(cutState(rules, link('us/a', 'eu/a')), 'none');
    assert.equal(cutState(rules, link('us/a', 'ap/a')), 'both');
  });

  test('healed in one direction stays cut in the other', () => {
    const rules = after(['cut', {}], ['heal', { from: us, to: eu, oneWay: true }]);
    assert.equal(cutState(rules, link('us/a', 'eu/a')), 'backward');
  });
});

describe('the list of rules', () => {
  test('does not grow by repeating, and healing everything empties it', () => {
    let rules: readonly CutRule[] = [];
    for (let i = 0; i < 100; i += 1) {
      rules = addRule(rules, { verb: i % 2 === 0 ? 'cut' : 'heal', selector: { from: us } });
    }
    assert.equal(rules.length, 1);
    assert.deepEqual(addRule(rules, { verb: 'heal', selector: {} }), []);
  });

  test('is bounded', () => {
    let rules: readonly CutRule[] = [];
    for (let i = 0; i < CUT_RULES_MAX; i += 1) {
      rules = addRule(rules, { verb: 'cut', selector: { target: address(i) } });
    }
    assert.throws(
      () => addRule(rules, { verb: 'cut', selector: { target: address(70_000) } }),
      (error) => isMeridianError(error, 'ERR_ENGINE_OVERLOADED'),
    );
  });

  test('dropping shadowed rules changes no decision', () => {
    const place = fc.option(
      fc.record({ region: fc.constantFrom('us', 'eu') }, { requiredKeys: [] }),
      { nil: undefined },
    );
    const rule = fc.record({
      verb: fc.constantFrom('cut' as const, 'heal' as const),
      from: place,
      to: place,
      oneWay: fc.boolean(),
    });
    const place2 = fc.constantFrom('us/a', 'us/b', 'eu/a');
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 12 }), place2, place2, (list, from, to) => {
        const all = list.map(({ verb, from: f, to: t, oneWay }): CutRule => ({
          verb,
          selector: {
            ...(f === undefined ? {} : { from: f }),
            ...(t === undefined ? {} : { to: t }),
            oneWay,
          },
        }));
        const kept = all.reduce<readonly CutRule[]>(addRule, []);
        assert.equal(cutState(kept, link(from, to)), cutState(all, link(from, to)));
      }),
    );
  });
});
