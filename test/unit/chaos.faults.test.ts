/** What a fault is aimed at, and what faults do together: decided without any process. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkFits, effectsOf, isLasting, summaryOf, type Fault } from '../../src/chaos/faults.ts';
import { processesAt, type ChaosWorld } from '../../src/chaos/targets.ts';
import type { ChaosRequest, ChaosTarget } from '../../src/control/chaos.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';

const at = (region: string, zone: string): { region: string; zone: string } => ({ region, zone });
const WORLD: ChaosWorld = {
  regions: ['us', 'eu'].map((name) => ({ name, zones: ['a', 'b', 'c'] })),
  processes: [
    { name: 'us-1.a', kind: 'database', locality: at('us', 'a') },
    { name: 'us-1.b', kind: 'database', locality: at('us', 'b') },
    { name: 'gateway.us', kind: 'gateway', locality: at('us', 'a') },
    { name: 'app.us.0', kind: 'app', locality: at('us', 'a') },
    { name: 'eu-1.a', kind: 'database', locality: at('eu', 'a') },
  ],
};
const process = (name: string): ChaosTarget => ({ kind: 'process', name });
const node = (name: string): ChaosTarget => ({ kind: 'node', name });
const place = (region: string, zone?: string): ChaosTarget => ({
  kind: 'place',
  place: { region, zone },
});
const names = (target: ChaosTarget): string[] => processesAt(target, WORLD).map((one) => one.name);
const refusal = (code: string, text: RegExp) => (error: unknown) =>
  isMeridianError(error) && error.code === code && text.test(`${error.message} ${error.remedy}`);

let made = 0;
const fault = (request: ChaosRequest): Fault => ({
  id: `f${String((made += 1))}`,
  request,
  summary: '',
  sinceMs: 0,
  lasting: isLasting(request),
  processes: processesAt(request.target, WORLD),
});

describe('a target', () => {
  test('means the processes that are there', () => {
    assert.deepEqual(names(process('app.us.0')), ['app.us.0']);
    assert.deepEqual(names(process('us.0')), ['app.us.0'], 'as status names it');
    assert.deepEqual(names(node('us-1.b')), ['us-1.b']);
    assert.deepEqual(names(place('us', 'a')), ['us-1.a', 'gateway.us', 'app.us.0']);
    assert.equal(names(place('us')).length, 4);
    assert.deepEqual(names({ kind: 'link', from: { region: 'us' } }), []);
  });

  test('that does not exist is refused with what does', () => {
    const wrong = (target: ChaosTarget, text: RegExp): void =>
      assert.throws(() => names(target), refusal('ERR_CONTROL_REQUEST', text));
    wrong(process('wan'), /gateway\.us/);
    wrong(node('gateway.us'), /there are us-1\.a, us-1\.b, eu-1\.a/);
    wrong(place('ap'), /there are us, eu/);
    wrong(place('us', 'd'), /there are a, b, c/);
    wrong({ kind: 'link', from: { region: 'us' }, to: { region: 'ap' } }, /no region ap/);
    wrong({ kind: 'link', from: { region: 'us' }, to: { region: 'us' } }, /to itself/);
  });
});

describe('a fault', () => {
  test('that its target cannot have is refused with what can', () => {
    const refused = (request: ChaosRequest, text: RegExp): void =>
      assert.throws(
        () => checkFits(request, processesAt(request.target, WORLD)),
        refusal('ERR_CHAOS_REFUSED', text),
      );
    const link = { kind: 'link', from: { region: 'us' } } as const;
    for (const action of ['kill', 'stop', 'restart'] as const) {
      refused({ action, target: link }, /partition or slow/);
    }
    refused({ action: 'partition', target: node('us-1.b') }, /zone:us\/b/);
    refused({ action: 'slow', target: process('app.us.0'), addMs: 1 }, /zone:us\/a/);
    refused({ action: 'skew', target: process('app.us.0'), offsetMs: 1 }, /database node/);
    refused({ action: 'fill-disk', target: node('us-1.b') }, /dataDirectory/);
  });

  test('lasts unless it is over by itself', () => {
    assert.equal(isLasting({ action: 'kill', target: process('us-1.a') }), false);
    assert.equal(isLasting({ action: 'restart', target: place('us') }), false);
    for (const target of [node('us-1.a'), place('us')]) {
      assert.equal(isLasting({ action: 'kill', target }), true);
    }
    assert.equal(isLasting({ action: 'stop', target: process('us-1.a') }), true);
  });

  test('says what it is in one line', () => {
    const summary = (request: ChaosRequest): string =>
      summaryOf(request, processesAt(request.target, WORLD));
    assert.equal(
      summary({ action: 'stop', target: place('us', 'a') }),
      'stop zone:us/a: 3 processes',
    );
    assert.equal(summary({ action: 'kill', target: node('us-1.a') }), 'kill node:us-1.a');
    const link = {
      kind: 'link',
      from: { region: 'us' },
      to: { region: 'eu' },
      oneWay: true,
    } as const;
    assert.equal(summary({ action: 'partition', target: link }), 'partition link:us..eu, one way');
  });
});

describe('faults together', () => {
  const zone = fault({ action: 'kill', target: place('us', 'a') });
  const one = fault({ action: 'kill', target: node('us-1.a') });
  const frozen = fault({ action: 'stop', target: node('us-1.b') });
  const hung = fault({ action: 'stop', target: process('us-1.b') });

  test('leave down what another of them still keeps down', () => {
    assert.deepEqual([...effectsOf([zone, one]).down.keys()], ['us-1.a', 'gateway.us', 'app.us.0']);
    assert.deepEqual([...effectsOf([one]).down], [['us-1.a', one.id]]);
    assert.deepEqual([...effectsOf([]).down], []);
  });

  test('tell a frozen machine from a hung process, and both from what is over', () => {
    const effects = effectsOf([
      frozen,
      hung,
      fault({ action: 'kill', target: process('eu-1.a') }),
      fault({ action: 'restart', target: node('eu-1.a') }),
    ]);
    assert.deepEqual([...effects.frozen.keys()], ['us-1.b']);
    assert.deepEqual([...effects.hung], ['us-1.b']);
    assert.deepEqual([...effects.down.keys()], []);
  });

  test('cut, slow and move clocks as they say', () => {
    const effects = effectsOf([
      fault({ action: 'partition', target: place('us', 'a') }),
      fault({
        action: 'slow',
        target: { kind: 'link', from: { region: 'us' }, to: { region: 'eu' } },
        addMs: 9,
      }),
      fault({ action: 'skew', target: place('us', 'a'), offsetMs: 500 }),
      fault({ action: 'skew', target: node('us-1.a'), offsetMs: -200 }),
    ]);
    assert.deepEqual(effects.cuts, [{ from: { region: 'us', zone: 'a' } }]);
    assert.deepEqual(effects.slows, [
      { selector: { from: { region: 'us' }, to: { region: 'eu' } }, addMs: 9 },
    ]);
    assert.deepEqual([...effects.skews], [['us-1.a', 300]]);
  });
});
