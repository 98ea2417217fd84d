/** Which places the arbiter reaches under cuts, and which way links are slowed: decided without a socket. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { addedDelays } from '../../src/wan/cuts.ts';
import type { CutSelector, LinkRequest } from '../../src/wan/link.ts';
import { reachUnder } from '../../src/wan/reach.ts';

const REGIONS = ['us', 'eu', 'ap'].map((name) => ({ name }));
const PLACES = REGIONS.flatMap(({ name }) => ['a', 'b'].map((zone) => `${name}/${zone}`));
const at = (text: string): { region: string; zone: string } => {
  const [region = '', zone = ''] = text.split('/');
  return { region, zone };
};
const us = { region: 'us' };
const eu = { region: 'eu' };
const usA = { region: 'us', zone: 'a' };

describe('the arbiter', () => {
  const cases: readonly [string, readonly CutSelector[], readonly string[]][] = [
    ['reaches everything without cuts', [], []],
    ['loses a zone that is cut off', [{ from: usA }], ['us/a']],
    ['loses a zone that hears but is not heard', [{ from: usA, oneWay: true }], ['us/a']],
    ['loses a zone that is heard but does not hear', [{ to: usA, oneWay: true }], ['us/a']],
    ['loses a region that is cut off', [{ from: us }], ['us/a', 'us/b']],
    ['loses a region that is cut one way', [{ from: us, oneWay: true }], ['us/a', 'us/b']],
    ['reaches all round a cut between two regions', [{ from: us, to: eu }], []],
    ['reaches all round one that is one way', [{ from: us, to: eu, oneWay: true }], []],
    [
      'loses a region that is cut from two others one by one',
      [
        { from: us, to: eu },
        { from: us, to: { region: 'ap' } },
      ],
      ['us/a', 'us/b'],
    ],
    [
      'keeps zones that are cut from each other',
      [{ from: usA, to: { region: 'us', zone: 'b' } }],
      [],
    ],
    [
      'loses a zone that only its own region reaches',
      [
        { from: usA, to: eu },
        { from: usA, to: { region: 'ap' } },
      ],
      ['us/a'],
    ],
    ['keeps a zone that its own region alone has lost', [{ from: usA, to: us }], []],
    [
      'loses all when every region is alone',
      REGIONS.map((from) => ({ from: { region: from.name } })),
      PLACES,
    ],
  ];
  for (const [what, cuts, lost] of cases) {
    test(what, () => {
      const reaches = reachUnder(cuts, REGIONS);
      assert.deepEqual(
        PLACES.filter((place) => !reaches(at(place))),
        lost,
      );
    });
  }

  test('of two regions that are cut apart reaches none: neither is a majority', () => {
    const reaches = reachUnder(
      [{ from: us, to: eu }],
      [us, eu].map(({ region }) => ({ name: region })),
    );
    assert.equal(reaches(at('us/a')), false);
    assert.equal(reaches(at('eu/a')), false);
  });
});

describe('a slow link', () => {
  const link: LinkRequest = { from: at('us/a'), to: at('eu/a'), target: { host: '', port: 1 } };
  const added = (selector: CutSelector, of: LinkRequest = link): ReturnType<typeof addedDelays> =>
    addedDelays([{ selector, addMs: 80 }], of);

  test('takes half of it each way, or all of it one way; others take none', () => {
    assert.deepEqual(added({ from: us, to: eu }), { forwardMs: 40, backwardMs: 40 });
    assert.deepEqual(added({ from: us, to: eu, oneWay: true }), { forwardMs: 80, backwardMs: 0 });
    assert.deepEqual(added({ from: eu, to: us, oneWay: true }), { forwardMs: 0, backwardMs: 80 });
    assert.deepEqual(added({ from: { region: 'ap' } }), { forwardMs: 0, backwardMs: 0 });
  });

  test('adds up', () => {
    const rules = [
      { selector: { from: us }, addMs: 10 },
      { selector: { from: us, to: eu }, addMs: 20 },
    ];
    assert.deepEqual(addedDelays(rules, link), { forwardMs: 15, backwardMs: 15 });
  });
});
