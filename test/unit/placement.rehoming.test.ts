/** Which accounts are given another home: for a lasting reason, within the budget, and never to and fro. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { explainHome } from '../../src/placement/explain.ts';
import { meanRoundTripMs, preferenceOf } from '../../src/placement/preference.ts';
import { judgeHome, type AccountFacts, type Judgement } from '../../src/placement/rehoming.ts';
import { planRehoming } from '../../src/placement/rehoming-plan.ts';
import { REHOMING_DEFAULTS } from '../../src/placement/rehoming-policy.ts';
import { Traffic } from '../../src/placement/traffic.ts';

const DAY = 24;
const SHAPE = { regions: 3, intervalsPerCycle: DAY, cycles: 3 };
/** America, Europe, Asia. */
const DISTANCES = [
  [0, 80, 200],
  [80, 0, 140],
  [200, 140, 0],
];
const [US, EU, AP] = [0, 1, 2];

type Hourly = (hour: number) => readonly [us: number, eu: number, ap: number];

/** After so many hours of such traffic. */
function factsAfter(hours: number, accesses: Hourly): AccountFacts {
  const traffic = new Traffic(SHAPE, 0);
  for (let hour = 0; hour < hours; hour += 1) {
    accesses(hour).forEach((count, region) => {
      traffic.add(region, count);
    });
    traffic.advance(hour + 1);
  }
  return { home: US, bytes: 1_000, movedAgo: undefined, allowed: undefined, traffic };
}

function after(hours: number, accesses: Hourly, change: Partial<AccountFacts> = {}): Judgement {
  const facts = { ...factsAfter(hours, accesses), ...change };
  return judgeHome(facts, DISTANCES, REHOMING_DEFAULTS);
}

const because = (judgement: Judgement): string =>
  judgement.kind === 'move'
    ? `to ${String(judgement.to)}, ${judgement.because}`
    : judgement.because;

describe('traffic', () => {
  test('is what was counted in the intervals that are looked back on, and nothing else', () => {
    const step = fc.record({
      pause: fc.integer({ min: 0, max: 100 }),
      region: fc.nat(2),
      accesses: fc.nat(50),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const traffic = new Traffic(SHAPE, 1_000);
        const counted = new Map<string, number>();
        let now = 1_000;
        for (const { pause, region, accesses } of steps) {
          now += pause;
          traffic.advance(now);
          traffic.add(region, accesses);
          const key = `${String(now)} ${String(region)}`;
          counted.set(key, (counted.get(key) ?? 0) + accesses);
        }
        for (let age = 0; age <= 3 * DAY; age += 1) {
          for (let region = 0; region < 3; region += 1) {
            const expected = counted.get(`${String(now - age)} ${String(region)}`) ?? 0;
            assert.equal(traffic.count(age, region), expected);
          }
        }
        assert.equal(traffic.count(3 * DAY + 1, 0), 0);
        assert.equal(traffic.known, Math.min(now - 1_000, 3 * DAY));
      }),
    );
  });
});

describe('a preference', () => {
  test('is the allowed home with the least mean distance, and the present one among equals', () => {
    const counts = fc.tuple(fc.nat(100), fc.nat(100), fc.nat(100));
    fc.assert(
      fc.property(counts, fc.nat(2), fc.uniqueArray(fc.nat(2)), (accesses, home, allowed) => {
        const may = new Set(allowed);
        const found = preferenceOf(accesses, DISTANCES, { home, allowed: may });
        assert.ok(found.home === home || may.has(found.home));
        const mean = (at: number): number => meanRoundTripMs(accesses, DISTANCES, at);
        for (const other of [home, ...allowed]) assert.ok(mean(found.home) <= mean(other));
        if (mean(found.home) === mean(home)) assert.equal(found.home, home);
        assert.ok(found.gain >= 0 && found.gain <= 1);
      }),
    );
  });
});

describe('an account', () => {
  const asian: Hourly = () => [2, 0, 10];

  test('goes where its traffic lastingly is, and not before that has lasted', () => {
    assert.equal(because(after(DAY, asian)), 'too-new');
    assert.equal(because(after(2 * DAY - 1, asian)), 'too-new');
    const judgement = after(2 * DAY, asian);
    assert.equal(because(judgement), `to ${String(AP)}, lasting`);
    assert.ok(judgement.kind === 'move');
    // Twelve an hour: ten save the way from Asia, and two make it.
    assert.equal(judgement.savedMsPerCycle, DAY * (10 * 200 - 2 * 200));
  });

  test('that has moved house goes along within hours', () => {
    const moved: Hourly = (hour) => (hour < 3 * DAY ? [10, 0, 0] : [0, 0, 10]);
    const { vacatedIntervals } = REHOMING_DEFAULTS;
    assert.notEqual(after(3 * DAY + vacatedIntervals - 2, moved).kind, 'move');
    const judgement = after(3 * DAY + vacatedIntervals, moved);
    assert.equal(because(judgement), `to ${String(AP)}, vacated`);
  });

  test('whose teams hand over to each other stays', () => {
    const shifts: Hourly = (hour) => {
      const shift = Math.floor((hour % DAY) / 8);
      return [shift === US ? 40 : 0, shift === EU ? 30 : 0, shift === AP ? 30 : 0];
    };
    for (let hours = 1; hours < 10 * DAY; hours += 1) {
      assert.equal(after(hours, shifts).kind, 'stay', `after ${String(hours)} hours`);
    }
  });

  test('with one busy day elsewhere stays, whenever that begins', () => {
    const busy = fc.record({
      from: fc.integer({ min: 48, max: 96 }),
      times: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(busy, ({ from, times }) => {
        const burst: Hourly = (hour) => [10, hour >= from && hour < from + DAY ? 10 * times : 0, 0];
        for (let hours = from; hours < from + 4 * DAY; hours += 1) {
          assert.equal(after(hours, burst).kind, 'stay', `after ${String(hours)} hours`);
        }
      }),
      { numRuns: 12 },
    );
  });

  test('whose traffic is spread evenly, or little, stays', () => {
    assert.equal(because(after(3 * DAY, () => [10, 10, 10])), 'spread-out');
    assert.equal(
      because(after(3 * DAY, (hour) => [0, 0, hour % DAY === 0 ? 5 : 0])),
      'too-little-traffic',
    );
    assert.equal(because(after(3 * DAY, () => [10, 0, 0])), 'best-here');
    assert.equal(because(after(3 * DAY, () => [49, 51, 0])), 'gain-too-small');
  });

  test('is not moved again before the cool-down is over', () => {
    const movedAgo = REHOMING_DEFAULTS.cooldownIntervals - 1;
    assert.equal(because(after(3 * DAY, asian, { movedAgo })), 'cooling-down');
    assert.equal(after(3 * DAY, asian, { movedAgo: movedAgo + 1 }).kind, 'move');
  });

  test('never goes where it may not live', () => {
    const hourly = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20));
    const days = fc.array(hourly, { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(days, fc.uniqueArray(fc.nat(2)), fc.nat(2), (pattern, allowed, home) => {
        const traffic: Hourly = (hour) =>
          pattern[Math.floor(hour / DAY) % pattern.length] ?? [0, 0, 0];
        const judgement = after(5 * DAY, traffic, { home, allowed: new Set(allowed) });
        if (judgement.kind === 'move') assert.ok(allowed.includes(judgement.to));
      }),
    );
  });
});

describe('an explanation', () => {
  const place = { regions: ['us-east', 'eu-west', 'ap-south'], distances: DISTANCES };
  const explained = (hours: number, accesses: Hourly): ReturnType<typeof explainHome> =>
    explainHome(factsAfter(hours, accesses), place, REHOMING_DEFAULTS);

  test('says where its traffic is, how far each home would be, and what is decided', () => {
    const { home, traffic, homes, why } = explained(3 * DAY, () => [2, 0, 8]);
    assert.equal(home, 'us-east');
    assert.deepEqual(traffic, [
      { region: 'ap-south', accesses: 192, share: 0.8 },
      { region: 'us-east', accesses: 48, share: 0.2 },
      { region: 'eu-west', accesses: 0, share: 0 },
    ]);
    assert.deepEqual(
      homes.map(({ region, meanMs }) => [region, Math.round(meanMs)]),
      [
        ['ap-south', 40],
        ['eu-west', 128],
        ['us-east', 160],
      ],
    );
    assert.equal(
      why,
      'moves to ap-south: that saves 75 % of the distance, and has done so for 2 cycles',
    );
  });

  test('has a sentence for each reason to stay', () => {
    const cases: readonly [number, Hourly, RegExp][] = [
      [3 * DAY, () => [9, 0, 1], /no other home .* nearer to its clients than us-east/],
      [DAY, () => [0, 0, 9], /seen for 24 intervals, and 2 whole cycles tell/],
      [3 * DAY, () => [0, 0, 0], /would need 24 accesses/],
      [3 * DAY, () => [49, 51, 0], /eu-west would be nearer, by less than 20 %/],
      [3 * DAY, () => [10, 10, 10], /not 45 % of the traffic come from there/],
    ];
    for (const [hours, accesses, pattern] of cases) {
      assert.match(explained(hours, accesses).why, pattern);
    }
  });
});

describe('a plan', () => {
  const asian = (bytes: number, times = 1): AccountFacts => {
    const traffic = new Traffic(SHAPE, 0);
    for (let hour = 0; hour < 3 * DAY; hour += 1) {
      traffic.add(AP, 10 * times);
      traffic.advance(hour + 1);
    }
    return { home: US, bytes, movedAgo: undefined, allowed: undefined, traffic };
  };

  test('keeps to the budget, and takes first what saves most for its size', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 5_000 }), { maxLength: 30 });
    const spent = fc.record({ bytes: fc.nat(20_000), accounts: fc.nat(30) });
    fc.assert(
      fc.property(sizes, spent, (bytes, moved) => {
        const policy = { ...REHOMING_DEFAULTS, bytesShareMax: 0.1, movesMax: 20 };
        const accounts = bytes.map((size, id) => [id, asian(size)] as const);
        const facts = { accounts, distances: DISTANCES, totalBytes: 100_000, moved };
        const { moves, postponed } = planRehoming(facts, policy);
        assert.equal(moves.length + postponed.length, bytes.length);
        const total = moves.reduce((all, move) => all + move.bytes, 0);
        assert.ok(total + moved.bytes <= 10_000 || moves.length === 0);
        assert.ok(moves.length + moved.accounts <= 20 || moves.length === 0);
        // All save the same: the small ones come first.
        const taken = moves.map((move) => move.bytes);
        assert.deepEqual(
          taken,
          taken.toSorted((a, b) => a - b),
        );
      }),
    );
  });

  test('moves the busier of two of one size when there is room for one', () => {
    const accounts = [
      ['quiet', asian(900)],
      ['busy', asian(900, 5)],
    ] as const;
    const facts = { accounts, distances: DISTANCES, totalBytes: 50_000 };
    const { moves, postponed } = planRehoming(
      { ...facts, moved: { bytes: 0, accounts: 0 } },
      REHOMING_DEFAULTS,
    );
    assert.deepEqual([moves.map((move) => move.account), postponed.length], [['busy'], 1]);
  });
});
