/** What is asked for when a group is hot, and what is decided by whoever comes after a crash in between. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OperationRequest } from '../../src/control/operation.ts';
import type { RangeFacts } from '../../src/engines/engine.ts';
import { Balancing } from '../../src/orchestrate/balancing.ts';
import type { Remembered } from '../../src/orchestrate/account-traffic.ts';
import { Traffic } from '../../src/placement/traffic.ts';

const SHAPE = { regions: 1, intervalsPerCycle: 4, cycles: 1 };
const GROUPS = ['us-1', 'us-2'].map((name) => ({ name, homeRegion: 'us', nodes: [] }));

/** So many accesses in each of the last intervals. */
function used(accesses: number): Remembered {
  const traffic = new Traffic(SHAPE, 0);
  for (const interval of [0, 1, 2]) {
    traffic.advance(interval);
    traffic.add(0, accesses);
  }
  traffic.advance(3);
  return { traffic, movedAt: undefined };
}

/** Two groups; three accounts with as much to do each, all in the only range of the first. */
class Ground {
  readonly asked: OperationRequest[] = [];
  readonly homes = new Map(
    ['anna', 'bert', 'cleo'].map((name) => [name, { range: 'r1', group: 'us-1' }]),
  );
  dieAt: OperationRequest['kind'] | undefined;

  balancing(): Balancing {
    return new Balancing({
      groups: GROUPS,
      options: { hot: { imbalanceMin: 1.5, accessesMin: 10 } },
      engine: {
        rangeFacts: () => Promise.resolve(this.#ranges()),
        accountFacts: () =>
          Promise.resolve({ homes: this.homes, bytesPerAccount: {}, totalBytes: 0 }),
      },
      operate: (request) => this.#operate(request),
    });
  }

  decide(balancing: Balancing): Promise<void> {
    const accounts = [...this.homes.keys()].map((name) => [name, used(100)] as const);
    return balancing.decide(accounts, { homes: this.homes });
  }

  #ranges(): readonly RangeFacts[] {
    const found = new Map([
      ['r1', 'us-1'],
      ['r2', 'us-2'],
    ]);
    for (const { range, group } of this.homes.values()) found.set(range, group);
    return [...found].map(([range, group]) => ({
      ...{ range, group, made: range.startsWith('s'), accounts: 1, bytes: 1 },
    }));
  }

  #operate(request: OperationRequest): Promise<void> {
    if (request.kind === this.dieAt) return Promise.reject(new Error('died'));
    this.asked.push(request);
    if (request.kind === 'split') {
      for (const name of request.accounts) this.homes.set(name, { range: 's1', group: 'us-1' });
    }
    if (request.kind === 'move') {
      for (const [name, { range }] of this.homes) {
        if (range === request.range) this.homes.set(name, { range, group: request.to });
      }
    }
    return Promise.resolve();
  }
}

const SPLIT = { kind: 'split', range: 'r1', accounts: ['anna'] };
const MOVE = { kind: 'move', range: 's1', to: 'us-2' };

describe('a hot group', () => {
  test('is told, relieved, and hot no more', async () => {
    const ground = new Ground();
    const balancing = ground.balancing();
    assert.equal(balancing.possible, true);
    await ground.decide(balancing);
    const [told, ...others] = balancing.status;
    assert.deepEqual(others, []);
    assert.deepEqual(
      [told?.kind, told?.group, told?.to, told?.accounts, told?.accountsTotal],
      ['split', 'us-1', 'us-2', ['anna'], 1],
    );
    await balancing.carryOut();
    assert.deepEqual(ground.asked, [SPLIT, MOVE]);
    assert.deepEqual(balancing.status, []);
    await ground.decide(balancing);
    assert.deepEqual(balancing.status, []);
  });

  test('and whoever comes after a death between the two goes on with what was split off', async () => {
    const ground = new Ground();
    ground.dieAt = 'move';
    const first = ground.balancing();
    await ground.decide(first);
    await assert.rejects(first.carryOut(), /died/);
    assert.deepEqual(ground.asked, [SPLIT]);
    ground.dieAt = undefined;
    const next = ground.balancing();
    await ground.decide(next);
    await next.carryOut();
    assert.deepEqual(ground.asked, [SPLIT, MOVE]);
  });
});
