/** Accounts that cannot go hold up nobody else. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { MeridianError } from '../../src/kernel/errors.ts';
import { emptyGroups, type Emptied, type EmptyingParts } from '../../src/orchestrate/emptying.ts';

const refused = (what: string): MeridianError => new MeridianError('ERR_OPERATION_REFUSED', what);

/** Groups with accounts, of which some are refused, whoever goes with them. */
class World {
  readonly there: Set<string>;
  readonly stuck: ReadonlySet<string>;
  operations = 0;
  arrived = 0;
  readonly parts: EmptyingParts;

  constructor(there: readonly string[], stuck: readonly string[]) {
    [this.there, this.stuck] = [new Set(there), new Set(stuck)];
    this.parts = {
      engine: {
        accountsInGroups: (_, { after, limit }) =>
          Promise.resolve(
            [...this.there]
              .sort()
              .filter((id) => id > after)
              .slice(0, limit),
          ),
      },
      trafficOf: () => undefined,
      operate: (request) => {
        this.operations += 1;
        assert.ok(request.kind === 'rehome');
        const bad = request.accounts.find((id) => this.stuck.has(id));
        if (bad !== undefined) return Promise.reject(refused(`${bad} cannot go`));
        for (const id of request.accounts) this.there.delete(id);
        return Promise.resolve();
      },
    };
  }

  empty(change: Partial<Emptied> = {}): Promise<void> {
    return emptyGroups(this.parts, {
      ...{ groups: ['eu-1'], residency: null, names: ['us', 'eu'] },
      leaving: {
        from: 1,
        allowed: new Set([0]),
        distances: [
          [0, 80],
          [80, 0],
        ],
      },
      signal: new AbortController().signal,
      onArrived: (accounts, ended) => {
        if (ended) this.arrived += accounts;
      },
      ...change,
    });
  }
}

describe('groups that are emptied', () => {
  test('all go, and it is told how many', async () => {
    const world = new World(['a', 'b', 'c'], []);
    await world.empty();
    assert.deepEqual([world.there.size, world.arrived, world.operations], [0, 3, 1]);
  });

  test('whoever cannot go, all others do, and the reason is told', async () => {
    const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(ids, fc.infiniteStream(fc.boolean()), async (there, draw) => {
        const stuck = there.filter(() => draw.next().value);
        const world = new World(there, stuck);
        const emptied = world.empty();
        if (stuck.length === 0) await emptied;
        else await assert.rejects(emptied, { message: /cannot go/ });
        assert.deepEqual([...world.there].sort(), stuck.toSorted());
        assert.equal(world.arrived, there.length - stuck.length);
      }),
    );
  });

  test('what is no refusal ends it at once: it is tried again as a whole', async () => {
    const world = new World(['a', 'b'], []);
    const parts: EmptyingParts = {
      ...world.parts,
      operate: () => {
        world.operations += 1;
        return Promise.reject(new MeridianError('ERR_ENGINE_UNAVAILABLE', 'not open'));
      },
    };
    await assert.rejects(
      emptyGroups(parts, {
        ...{ groups: ['eu-1'], residency: null, names: ['us', 'eu'] },
        leaving: {
          from: 1,
          allowed: new Set([0]),
          distances: [
            [0, 80],
            [80, 0],
          ],
        },
        ...{ signal: new AbortController().signal, onArrived: () => {} },
      }),
      { code: 'ERR_ENGINE_UNAVAILABLE' },
    );
    assert.equal(world.operations, 1);
  });

  test('called off, nobody else goes; without anywhere to go nobody does', async () => {
    const world = new World(['a'], []);
    const off = new AbortController();
    off.abort();
    await world.empty({ signal: off.signal });
    const nowhere = { from: 1, allowed: new Set<number>(), distances: [[0]] };
    await assert.rejects(world.empty({ leaving: nowhere, residency: 'here' }), {
      message: /no other region takes accounts that are pinned to here/,
    });
    assert.equal(world.operations, 0);
  });
});
