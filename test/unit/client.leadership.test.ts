/** When a leader's connections are given up, and when not; which nodes reads avoid; how waits end. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { Avoided, AVOID_MS } from '../../src/client/avoided.ts';
import { nearestOf, patienceMs } from '../../src/client/choose-node.ts';
import { startDeadline } from '../../src/client/deadline.ts';
import {
  checkLeads,
  followLeaders,
  handovers,
  leads,
  succeed,
} from '../../src/client/leadership.ts';
import { outOfTime, untilNews, type WaitServices } from '../../src/client/waiting.ts';
import type { SessionTarget } from '../../src/engines/connector.ts';
import { MeridianError } from '../../src/kernel/errors.ts';
import type { RoutedNode, RoutingView } from '../../src/topology/routing.ts';
import { manualClock } from '../support/clocks.ts';

const node = (name: string, roundTripMs = 80, port = 1): RoutedNode => ({
  ...{ name, kind: 'voter', roundTripMs, locality: { region: 'r', zone: name } },
  address: { host: '127.0.0.1', port },
});

function view(epoch: number, leader: string | undefined, version = 1): RoutingView {
  const nodes = [node('a'), node('b', 100), node('c', 100)];
  const groups = { g: { ...{ name: 'g', homeRegion: 'r', epoch, leader }, nodes } };
  return { ...{ version, primaryGroup: 'g', ranges: {}, appServers: [] }, groups };
}

/** Pushes views to whoever follows. */
function feed(first: RoutingView): WaitServices['control'] & {
  onView(listener: (view: RoutingView) => void): () => void;
  push(next: RoutingView): void;
  listeners(): number;
} {
  let current = first;
  const listeners = new Set<(view: RoutingView) => void>();
  const onView = (listener: (view: RoutingView) => void): (() => void) => {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  };
  return {
    get view() {
      return current;
    },
    onView,
    newerThan: (_, signal) =>
      new Promise((resolve, reject) => {
        const stop = onView((next) => {
          stop();
          resolve(next);
        });
        signal.addEventListener('abort', () => {
          stop();
          reject(new MeridianError('ERR_ABORTED', 'aborted'));
        });
      }),
    push: (next) => {
      current = next;
      for (const listener of [...listeners]) listener(next);
    },
    listeners: () => listeners.size,
  };
}

/** Names of the leaders whose connections were given up, in order. */
function forgotten(...views: RoutingView[]): string[] {
  const [first = view(1, 'a'), ...later] = views;
  const control = feed(first);
  const names: string[] = [];
  const connector = {
    forget: ({ name }: RoutedNode) => {
      names.push(name);
    },
    warm: () => {},
  };
  const stop = followLeaders({ control, connector });
  for (const next of later) control.push(next);
  stop();
  assert.equal(control.listeners(), 0);
  return names;
}

describe('the end of a leadership', () => {
  test('a failover: once, when the epoch rises, not when the leader is merely away', () => {
    const shown = [view(5, 'a'), view(5, undefined)];
    assert.deepEqual(forgotten(...shown), []);
    assert.deepEqual(forgotten(...shown, view(6, undefined)), ['a']);
    assert.deepEqual(forgotten(...shown, view(6, undefined), view(6, 'b')), ['a']);
    assert.deepEqual(forgotten(...shown, view(6, 'b')), ['a']);
  });

  test('a restart in place: the same node at a higher epoch', () => {
    assert.deepEqual(forgotten(view(5, 'a'), view(6, 'a')), ['a']);
    assert.deepEqual(forgotten(view(5, 'a'), view(5, undefined), view(6, 'a')), ['a']);
  });

  test('a switchover that is called off ends nothing', () => {
    assert.deepEqual(forgotten(view(5, 'a'), view(5, undefined), view(5, 'a')), []);
  });

  test('each end is told once, and later leaders are followed as well', () => {
    const shown = [view(5, 'a'), view(6, 'b'), view(6, 'b'), view(7, undefined), view(7, 'c')];
    assert.deepEqual(forgotten(...shown, view(8, 'a')), ['a', 'b', 'c']);
  });

  test('a leader known under another address is another', () => {
    const before = succeed(new Map(), view(5, 'a'));
    const groups = view(5, 'a').groups;
    const moved = { g: { ...present(groups['g']), nodes: [node('a', 80, 2)] } };
    const { ended } = succeed(before.reigns, { groups: moved });
    assert.deepEqual(
      ended.map(({ leader }) => leader.address.port),
      [1],
    );
  });

  test('what is in use keeps the time that an answer on its way may need', () => {
    const control = feed(view(5, 'a'));
    let grace = 0;
    followLeaders({
      control,
      connector: { forget: (_, graceMs) => (grace = graceMs), warm: () => {} },
    });
    control.push(view(6, 'b'));
    assert.ok(grace >= 80 && grace < 500, String(grace));
  });
});

describe('who may lead next', () => {
  test('is dialled once when a leader is away, where it is far', () => {
    const near = (at: RoutingView): RoutingView => {
      const group = present(at.groups['g']);
      const nodes = group.nodes.map((one) => (one.name === 'c' ? node('c', 1) : one));
      return { ...at, groups: { g: { ...group, nodes } } };
    };
    const control = feed(near(view(5, 'a')));
    const warmed: string[] = [];
    const warm = (nodes: readonly RoutedNode[], former: RoutedNode): void => {
      warmed.push(`${nodes.map(({ name }) => name).join()} for ${former.name}`);
    };
    followLeaders({ control, connector: { forget: () => {}, warm } });
    for (const next of [view(5, undefined), view(5, undefined, 2), view(6, undefined)]) {
      control.push(near(next));
    }
    assert.deepEqual(warmed, ['b for a']);
    control.push(near(view(6, 'b')));
    control.push(near(view(6, undefined)));
    assert.deepEqual(warmed, ['b for a', 'a for b']);
  });
});

describe('a wait for a leader', () => {
  test('is ended by nothing but a leader of that group, the end of its time, or the call’s', async () => {
    const clock = manualClock();
    const control = feed(view(5, undefined));
    const { signal } = new AbortController();
    let over = false;
    const wait = { version: 1, leaderOf: 'g', atMostMs: 5_000, signal };
    const waiting = untilNews({ clock, control }, wait).then(() => (over = true));
    for (let version = 2; version < 5; version += 1) {
      control.push(view(version, undefined, version));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(over, false);
    control.push(view(6, 'b', 5));
    await waiting;
    assert.equal(control.listeners(), 0);
    const bounded = untilNews({ clock, control: feed(view(5, undefined)) }, wait);
    clock.advance(5_000);
    await bounded;
  });

  test('fails when the client is closed: nothing would hold up the next attempt', async () => {
    const closed = new MeridianError('ERR_ENGINE_CLOSED', 'the control subscription is closed');
    const control = { view: view(5, undefined), newerThan: () => Promise.reject(closed) };
    const { signal } = new AbortController();
    const wait = { version: 5, leaderOf: 'g', atMostMs: 5_000, signal };
    await assert.rejects(untilNews({ clock: manualClock(), control }, wait), {
      code: 'ERR_ENGINE_CLOSED',
    });
  });
});

describe('a route made from an older view', () => {
  const target = (kind: 'write' | 'strong-read', epoch: number, name = 'a'): SessionTarget => ({
    ...{ node: node(name), group: 'g', scopes: [] },
    access:
      kind === 'write' ? { kind, groupEpoch: epoch, global: false } : { kind, groupEpoch: epoch },
  });

  test('is refused before anything is connected, unless the view still says the same', () => {
    for (const kind of ['write', 'strong-read'] as const) {
      assert.equal(leads(view(5, 'a'), target(kind, 5)), true);
      assert.equal(leads(view(5, undefined), target(kind, 5)), true);
      assert.equal(leads(view(6, 'a'), target(kind, 5)), false);
      assert.equal(leads(view(5, 'b'), target(kind, 5)), false);
      assert.throws(() => checkLeads(view(6, undefined), target(kind, 5)), {
        code: 'ERR_ENGINE_STALE_ROUTE',
      });
    }
  });
});

describe('reads avoid a node that was silent', () => {
  test('for a time, and only while there is another', () => {
    const clock = manualClock();
    const avoided = new Avoided(clock);
    const group = present(view(1, 'b').groups['g']);
    assert.equal(nearestOf(group, avoided.has).name, 'a');
    avoided.note('a');
    assert.equal(nearestOf(group, avoided.has).name, 'c', 'the nearest other follower');
    for (const name of ['b', 'c']) avoided.note(name);
    assert.equal(nearestOf(group, avoided.has).name, 'a', 'all are avoided');
    clock.advance(AVOID_MS - 1);
    assert.equal(avoided.has('a'), true);
    clock.advance(1);
    assert.equal(avoided.has('a'), false);
    assert.equal(nearestOf(group, avoided.has).name, 'a');
  });

  test('patience follows the distance, and a near node is given what a busy one needs', () => {
    assert.equal(patienceMs(node('a', 1)), 250);
    assert.equal(patienceMs(node('a', 200)), 800);
  });
});

describe('waiting for a route', () => {
  const start = () => {
    const clock = manualClock();
    const control = feed(view(5, undefined, 7));
    const deadline = startDeadline(clock, { timeoutMs: 10_000 });
    const wait = (version: number): Promise<void> =>
      untilNews({ clock, control }, { version, atMostMs: 200, signal: deadline.signal });
    return { clock, control, deadline, wait };
  };

  test('ends at once when the view is newer than the one that was used', async () => {
    const { wait } = start();
    await wait(6);
  });

  test('ends with a newer view, and leaves nothing behind', async () => {
    const { control, deadline, wait } = start();
    const waiting = wait(7);
    control.push(view(6, 'b', 8));
    await waiting;
    assert.equal(getEventListeners(deadline.signal, 'abort').length, 0);
    assert.equal(control.listeners(), 0);
  });

  test('ends after its time, and at the deadline', async () => {
    const { clock, deadline, wait } = start();
    let waiting = wait(7);
    clock.advance(200);
    await waiting;
    waiting = wait(7);
    clock.advance(10_000);
    await waiting;
    assert.equal(deadline.signal.aborted, true);
    await wait(7);
  });

  test('a deadline that strikes meanwhile names what was waited out, and stays one to retry', () => {
    const { clock, deadline } = start();
    clock.advance(10_000);
    const last = new MeridianError('ERR_ENGINE_NO_NODE', 'no leader');
    const error = outOfTime(deadline, last);
    assert.equal(error.code, 'ERR_DEADLINE_EXCEEDED');
    assert.equal(error.retry, 'backoff');
    assert.equal(error.outcome, 'none');
    assert.equal(error.cause, last);
    assert.deepEqual(error.details, { lastCode: 'ERR_ENGINE_NO_NODE' });
    assert.equal(outOfTime(deadline, undefined), deadline.error());
  });

  test("the caller's own abort is told as that", () => {
    const caller = new AbortController();
    const deadline = startDeadline(manualClock(), { timeoutMs: 10, signal: caller.signal });
    caller.abort();
    const last = new MeridianError('ERR_ENGINE_NO_NODE', 'no leader');
    assert.equal(outOfTime(deadline, last).code, 'ERR_ABORTED');
  });
});

function present<T>(value: T | undefined): T {
  assert.ok(value !== undefined);
  return value;
}

describe('a range that is about to go', () => {
  const going = (goingTo: string | undefined): RoutingView => {
    const { groups, ...rest } = view(1, 'a');
    const other = { ...groups['g'], name: 'h', nodes: [node('x', 140)], leader: 'x' };
    const range = { group: 'g', epoch: 1, ...(goingTo === undefined ? {} : { goingTo }) };
    const ranges = { r1: { name: 'r1', ...range }, r2: { name: 'r2', ...range } };
    return { ...rest, ranges, groups: { ...groups, h: other } as RoutingView['groups'] };
  };

  test('has whoever will lead it dialled by those who use it, once for all', () => {
    const names = handovers(going('h')).map(({ from, to }) => [from.name, to.name]);
    assert.deepEqual(names, [['a', 'x']]);
    assert.deepEqual(handovers(going(undefined)), []);
    assert.deepEqual(handovers(going('nowhere')), []);
    const warmed: unknown[] = [];
    const control = feed(going(undefined));
    const stop = followLeaders({
      control,
      connector: {
        forget: () => {},
        warm: (nodes, former) => warmed.push([nodes.map(({ name }) => name), former.name]),
      },
    });
    control.push(going('h'));
    assert.deepEqual(warmed, [[['x'], 'a']]);
    stop();
  });
});
