/** What a client does while a range is handed over: it waits, and asks nobody who is far away. */
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { Avoided } from '../../src/client/avoided.ts';
import { createClient } from '../../src/client/client.ts';
import { Counters } from '../../src/client/counters.ts';
import { KeysInFlight } from '../../src/client/keys-in-flight.ts';
import { CLIENT_LIMITS } from '../../src/client/options.ts';
import type { AttemptServices } from '../../src/client/work.ts';
import type { Connector } from '../../src/engines/connector.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import { seededRandom } from '../../src/kernel/random.ts';
import type { RoutingView } from '../../src/topology/routing.ts';
import { fastClock } from '../support/clocks.ts';

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
/** Ten times as fast: the test does not take as long as it tells of. */
const FACTOR = 10;

/** A range that is refused as stale for so long; and a directory that counts who asks its primary. */
async function asksOfPrimary(refusedForMs: number): Promise<number> {
  const clock = fastClock(FACTOR);
  const startedMs = clock.monotonicMs();
  let asked = 0;
  const connector = {
    begin: (target: { access: { kind: string }; scopes: readonly { range?: unknown }[] }) => {
      const directory = target.scopes[0]?.range === undefined;
      if (directory && target.access.kind === 'strong-read') asked += 1;
      if (!directory && clock.monotonicMs() - startedMs < refusedForMs) {
        const error = new MeridianError('ERR_ENGINE_STALE_ROUTE', 'range r0001 is moving');
        return Promise.reject(error);
      }
      return Promise.resolve({
        failure: undefined,
        query: () => Promise.resolve({ rows: [{ range: 'r0001' }], rowCount: 1 }),
        commit: () => Promise.resolve({ group: 'g', epoch: 1, log: 1n }),
        rollback: () => Promise.resolve(),
      });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as Connector;
  const control = {
    view: VIEW,
    onView: () => () => {},
    newerThan: (_: number, signal: AbortSignal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(new MeridianError('ERR_ABORTED', 'aborted'));
        });
      }),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  } as unknown as AttemptServices['control'];
  const services = {
    ...{ clock, random: seededRandom(1), connector, control, limits: CLIENT_LIMITS },
    ...{ counters: new Counters(), keysInFlight: new KeysInFlight() },
    avoided: new Avoided(clock),
  };
  const client = createClient({ services, region: 'r', newId: () => 'x' });
  // Known to the client, as of anybody whose account is in use.
  await client.locate('anna');
  asked = 0;
  await client.account('anna').transaction((tx) => tx.query('SELECT 1'));
  return asked;
}

describe('a range that is refused as stale', () => {
  let alive: NodeJS.Timeout;
  before(() => {
    alive = setInterval(() => {}, 1_000);
  });
  after(() => {
    clearInterval(alive);
  });

  test('for as long as a handover takes: the directory is not in doubt', async () => {
    assert.equal(await asksOfPrimary(700), 0);
  });

  test('for longer: its primary is asked, now and then', async () => {
    const asked = await asksOfPrimary(5_000);
    assert.ok(asked >= 1 && asked <= 5, String(asked));
  });
});
