/** Looking accounts up: shared by those who ask at once, but each keeps its own deadline. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import type { AttemptServices } from '../../src/client/work.ts';
import { Avoided } from '../../src/client/avoided.ts';
import { createClient } from '../../src/client/client.ts';
import { Counters } from '../../src/client/counters.ts';
import { Directory } from '../../src/client/directory.ts';
import { KeysInFlight } from '../../src/client/keys-in-flight.ts';
import { CLIENT_LIMITS } from '../../src/client/options.ts';
import type { Connector } from '../../src/engines/connector.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import type { RoutingView } from '../../src/topology/routing.ts';

const VIEW: RoutingView = {
  ...{ version: 1, primaryGroup: 'g', appServers: [] },
  groups: {
    g: {
      ...{ name: 'g', homeRegion: 'r', epoch: 1, leader: 'a' },
      nodes: [
        {
          ...{ name: 'a', kind: 'voter', roundTripMs: 0 },
          ...{ locality: { region: 'r', zone: 'a' }, address: { host: '127.0.0.1', port: 1 } },
        },
      ],
    },
  },
  ranges: { r0001: { name: 'r0001', group: 'g', epoch: 1 } },
};

/** Nodes that can be reached and never answer, until the test lets them. */
function silentServices(): {
  services: AttemptServices;
  begun: () => number;
  answer: (range: string) => void;
} {
  let begun = 0;
  let answer: (range: string) => void = () => {};
  const answered = new Promise<string>((resolve) => {
    answer = resolve;
  });
  const connector = {
    begin: async () => {
      begun += 1;
      const range = await answered;
      return {
        failure: undefined,
        query: () => Promise.resolve({ rows: [{ range }], rowCount: 1 }),
        commit: () => Promise.resolve({ group: 'g', epoch: 1, log: 1n }),
        rollback: () => Promise.resolve(),
      };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Connector;
  const control = {
    view: VIEW,
    onView: () => () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as AttemptServices['control'];
  const services = {
    ...{ clock: systemClock, random: seededRandom(1), connector, control },
    ...{ limits: CLIENT_LIMITS, counters: new Counters(), keysInFlight: new KeysInFlight() },
    avoided: new Avoided(systemClock),
  };
  return {
    services,
    begun: () => begun,
    answer: (range) => {
      answer(range);
    },
  };
}

/** Directories that answer at once, and a view that the test changes. */
function answeringServices(): {
  services: AttemptServices;
  asked: () => number;
  /** What everybody is told from now on; whoever listens hears that the directory has changed. */
  set: (range: string) => void;
} {
  let [asked, range, version] = [0, 'r0001', 1];
  const { services } = silentServices();
  const connector = {
    begin: () => {
      asked += 1;
      const found = range;
      return Promise.resolve({
        failure: undefined,
        query: () => Promise.resolve({ rows: [{ range: found }], rowCount: 1 }),
        commit: () => Promise.resolve({ group: 'g', epoch: 1, log: 1n }),
        rollback: () => Promise.resolve(),
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Connector;
  const ranges = Object.fromEntries(
    ['r0001', 'r0002', 'r0003'].map((name) => [name, { name, group: 'g', epoch: 1 }]),
  );
  const control = {
    get view(): RoutingView {
      return { ...VIEW, ranges, directory: version };
    },
    onView: () => () => {},
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as AttemptServices['control'];
  return {
    services: { ...services, connector, control },
    asked: () => asked,
    set: (next) => {
      [range, version] = [next, version + 1];
    },
  };
}

describe('the directory', () => {
  // Deadlines keep no process alive; the test's own has to be meanwhile.
  let alive: NodeJS.Timeout;
  before(() => {
    alive = setInterval(() => {}, 1_000);
  });
  after(() => {
    clearInterval(alive);
  });

  test('asks once for all who ask at the same time; none of them ends it for the others', async () => {
    const { services, begun, answer } = silentServices();
    const directory = new Directory(services);
    const hasty = new AbortController();
    const first = directory.locate('anna', { signal: hasty.signal, timeoutMs: 1 });
    const second = directory.locate('anna', { timeoutMs: 60_000 });
    hasty.abort();
    await assert.rejects(first, { code: 'ERR_ABORTED' });
    // Longer than the hasty one would have waited.
    await systemClock.sleep(20);
    answer('r0001');
    assert.equal((await second).range, 'r0001');
    assert.equal(begun(), 1);
  });

  test("a caller's deadline holds while somebody else's lookup is under way", async () => {
    const { services, answer } = silentServices();
    const client = createClient({ services, region: 'r', newId: () => 'x' });
    const patient = client.locate('anna');
    await assert.rejects(
      client.account('anna').transaction(() => Promise.resolve(), { timeoutMs: 20 }),
      { code: 'ERR_DEADLINE_EXCEEDED' },
    );
    answer('r0001');
    assert.equal((await patient).group, 'g');
  });

  test('an old answer is used while a newer one is fetched, once', async () => {
    const { services, asked, set } = answeringServices();
    const directory = new Directory(services);
    const range = async (): Promise<string> => (await directory.locate('anna')).range;
    assert.equal(await range(), 'r0001');
    assert.deepEqual([await range(), asked()], ['r0001', 1]);
    set('r0002');
    assert.deepEqual([await range(), await range(), asked()], ['r0001', 'r0001', 2]);
    await systemClock.sleep(5);
    assert.deepEqual([await range(), asked()], ['r0002', 2]);
  });

  test('and what somebody has learnt meanwhile is not overwritten by it', async () => {
    const { services, set } = answeringServices();
    const directory = new Directory(services);
    await directory.locate('anna');
    set('r0002');
    await directory.locate('anna');
    // The database has said so.
    directory.remember('anna', 'r0003');
    await systemClock.sleep(5);
    assert.equal((await directory.locate('anna')).range, 'r0003');
  });

  test('ids that could not travel in a path or a header are refused', async () => {
    const directory = new Directory(silentServices().services);
    for (const id of ['', 'a b', 'ä', 'x'.repeat(129), 'a\nb']) {
      await assert.rejects(directory.locate(id), { code: 'ERR_ACCOUNT_INVALID' });
    }
  });
});

describe('a closed client', () => {
  test('rejects, and does not throw, whatever is asked of it', async () => {
    const client = createClient({
      ...{ services: silentServices().services, region: 'r', newId: () => 'x' },
    });
    await client.close();
    await client.close();
    const closed = { code: 'ERR_ENGINE_CLOSED' };
    const nothing = (): Promise<void> => Promise.resolve();
    await assert.rejects(client.account('anna').transaction(nothing), closed);
    await assert.rejects(client.account('anna').read(nothing), closed);
    await assert.rejects(client.transaction(['anna'], nothing), closed);
    await assert.rejects(client.global.write(nothing), closed);
  });
});
