/** What is done next for accounts on their way: every walk ends, in the right place, and can be turned round. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  arrived,
  BATCH_ACCOUNTS,
  nextAct,
  type TransferAct,
  type TransferPicture,
} from '../../src/engines/postgres/ranges/transfer-decision.ts';
import type { TransferGoal } from '../../src/engines/postgres/places.ts';

/** Two groups of two declared ranges, and what happens when acts are done. */
class World {
  readonly places = new Map([
    ['r1', 'a'],
    ['r2', 'b'],
    ['r3', 'a'],
    ['r4', 'b'],
  ]);
  readonly homes = new Map<string, string>();
  readonly carriers: string[] = [];
  readonly kept = new Set<string>();
  /** Carriers that have rows of which nobody knows whose they are. */
  readonly stuck = new Set<string>();
  readonly acts: TransferAct[] = [];
  cancelled = false;
  readonly goal: TransferGoal;

  constructor(goal: TransferGoal, homes: Readonly<Record<string, string>>) {
    this.goal = goal;
    for (const [account, range] of Object.entries(homes)) this.homes.set(account, range);
  }

  get picture(): TransferPicture {
    const accounts = new Map<string, string[]>();
    for (const [account, range] of this.homes) {
      accounts.set(range, [...(accounts.get(range) ?? []), account]);
    }
    return {
      ...{ goal: this.goal, cancelled: this.cancelled, accounts, carriers: [...this.carriers] },
      groupOf: (range) => this.places.get(range),
      kept: this.kept,
      receiving: (group) => (group === 'a' ? 'r1' : 'r2'),
    };
  }

  /** False: it has ended. */
  step(): boolean {
    const act = nextAct(this.picture);
    this.acts.push(act);
    switch (act.kind) {
      case 'name-carrier': {
        const name = `s${String(this.carriers.length + 1)}`;
        this.carriers.push(name);
        this.places.set(name, act.group);
        return true;
      }
      case 'carry':
        assert.equal(this.places.get(act.from), this.places.get(act.into), 'within a group');
        assert.ok(act.accounts.length > 0 && act.accounts.length <= BATCH_ACCOUNTS);
        for (const account of act.accounts) {
          assert.equal(this.homes.get(account), act.from);
          this.homes.set(account, act.into);
        }
        return true;
      case 'move':
        assert.ok(this.carriers.includes(act.range), 'nobody else goes along');
        this.places.set(act.range, act.to);
        return true;
      case 'remove':
        assert.ok(![...this.homes.values()].includes(act.range), 'nobody is left there');
        if (this.stuck.has(act.range)) this.kept.add(act.range);
        else this.places.delete(act.range);
        return true;
      case 'end':
        return false;
    }
  }

  run(cancelAfter = Number.POSITIVE_INFINITY): void {
    for (let steps = 0; steps < 1_000; steps += 1) {
      if (steps >= cancelAfter) this.cancelled = true;
      if (!this.step()) return;
    }
    assert.fail('it does not end');
  }

  groups(): string[] {
    return [...new Set([...this.homes.values()].map((range) => this.places.get(range) ?? 'gone'))];
  }
}

const kinds = ({ acts }: World): string[] => acts.map(({ kind }) => kind);
const anyHomes = fc.dictionary(
  fc.stringMatching(/^[a-z]{1,3}$/),
  fc.constantFrom('r1', 'r2', 'r3', 'r4'),
  { minKeys: 1, maxKeys: 12 },
);

describe('a transfer', () => {
  test('splits, and merges what was split', () => {
    const split = new World({ kind: 'split', from: 'r1' }, { anna: 'r1' });
    split.run();
    assert.deepEqual(kinds(split), ['name-carrier', 'carry', 'end']);
    const merge = new World({ kind: 'merge', from: 's9', into: 'r1' }, { anna: 's9' });
    merge.places.set('s9', 'a');
    merge.run();
    assert.deepEqual(kinds(merge), ['carry', 'remove', 'end']);
    assert.equal(merge.homes.get('anna'), 'r1');
  });

  test('re-homes whoever is somewhere else, with one carrier for each group that is left', () => {
    const world = new World(
      { kind: 'rehome', to: 'b' },
      { anna: 'r1', bert: 'r3', cleo: 'r2', dora: 'r4' },
    );
    world.run();
    assert.equal(world.carriers.length, 1);
    assert.deepEqual(world.groups(), ['b']);
    assert.equal(world.homes.get('dora'), 'r4');
    assert.equal(arrived(world.picture), 4);
  });

  test('goes on in batches', () => {
    const many = Object.fromEntries(Array.from({ length: 450 }, (_, n) => [`a${String(n)}`, 'r1']));
    const world = new World({ kind: 'rehome', to: 'b' }, many);
    world.run();
    assert.equal(kinds(world).filter((kind) => kind === 'carry').length, 6);
    assert.equal(kinds(world).filter((kind) => kind === 'move').length, 1);
  });

  test('leaves those who cannot be beside others in a range of their own', () => {
    const world = new World({ kind: 'rehome', to: 'b' }, { anna: 'r1' });
    world.kept.add('s1');
    world.run();
    assert.equal(world.homes.get('anna'), 's1');
    assert.equal(arrived(world.picture), 1);
  });

  test('ends wherever everybody was, and leaves no carrier behind, whenever it is called off', () => {
    fc.assert(
      fc.property(
        anyHomes,
        fc.constantFrom('a', 'b'),
        fc.option(fc.nat(12), { nil: undefined }),
        (homes, to, cancelAfter) => {
          const world = new World({ kind: 'rehome', to }, homes);
          world.run(cancelAfter);
          assert.ok(world.carriers.every((carrier) => !world.places.has(carrier)));
          if (!world.cancelled) assert.deepEqual(world.groups(), [to]);
          else {
            for (const [account, range] of Object.entries(homes)) {
              const group = world.places.get(world.homes.get(account) ?? '');
              assert.ok(group === to || group === new World(world.goal, {}).places.get(range));
            }
          }
        },
      ),
    );
  });

  test('ends all the same when a carrier cannot be removed, and is asked to once', () => {
    for (const goal of [
      { kind: 'rehome', to: 'b' },
      { kind: 'split', from: 'r1' },
    ] as const) {
      for (const cancelAfter of [1, 2, 3, Number.POSITIVE_INFINITY]) {
        const world = new World(goal, { anna: 'r1' });
        world.stuck.add('s1');
        world.run(cancelAfter);
        assert.ok(kinds(world).filter((kind) => kind === 'remove').length <= 1);
      }
    }
  });

  test('that splits or merges is undone when it is called off', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 900 }), fc.nat(8), (count, cancelAfter) => {
        const homes = Object.fromEntries(
          Array.from({ length: count }, (_, n) => [`a${String(n)}`, 'r1']),
        );
        const world = new World({ kind: 'split', from: 'r1' }, homes);
        world.run(cancelAfter);
        const ranges = [...new Set(world.homes.values())];
        assert.deepEqual(ranges, [world.cancelled ? 'r1' : 's1']);
        assert.equal(world.places.has('s1'), !world.cancelled);
      }),
    );
  });
});
