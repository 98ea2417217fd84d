/** Copies made while their group has something else to do: what must not be ended, cloned or believed then. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Acknowledged } from '../support/acknowledged.ts';
import { GROUP, performOn, startGroup, type GroupRig } from '../support/group-rig.ts';

interface Hooks {
  /** Machine and phase, in the order in which they began. */
  readonly seen: string[];
  /** Called once, when it begins, and waited for. */
  at(phase: string, then: () => Promise<void>): void;
  readonly onPhase: (machine: string, phase: string) => Promise<void>;
}

function hooks(): Hooks {
  const seen: string[] = [];
  const waiting = new Map<string, () => Promise<void>>();
  return {
    seen,
    at: (phase, then) => waiting.set(phase, then),
    onPhase: async (machine, name) => {
      const phase = `${machine} ${name}`;
      seen.push(phase);
      const then = waiting.get(phase);
      waiting.delete(phase);
      await then?.();
    },
  };
}

const votersOf = (rig: GroupRig): { leader: string; first: string; second: string } => {
  const leader = rig.leader() ?? '';
  const [first = '', second = ''] = rig.nodes
    .filter(({ kind, name }) => kind === 'voter' && name !== leader)
    .map(({ name }) => name);
  return { leader, first, second };
};

function leaderIn(document: unknown): string | undefined {
  const { groups } = document as { groups: Record<string, { leader: string }> };
  return groups[GROUP]?.leader;
}

async function nothingLost(rig: GroupRig, load: Acknowledged): Promise<void> {
  await rig.whole(60_000);
  await load.stop();
  assert.deepEqual(await load.missing(rig.leader() ?? ''), []);
  assert.equal(new Set(await load.copies()).size, 1);
}

describe('a copy of a voter', () => {
  test('is not begun while nobody else confirms commits: it goes on', async () => {
    const { seen, onPhase } = hooks();
    await using rig = await startGroup('zone', { onPhase });
    await using load = new Acknowledged(rig);
    await load.nextAck();
    const { first, second } = votersOf(rig);
    rig.down(second);
    await rig.until('the other voter to be gone', async () => {
      return (await rig.snapshot()).nodes[second]?.role === 'down';
    });
    const asked = performOn(rig, { rebuild: [first] });
    const tries = (): number => seen.filter((phase) => phase === 'rebuild lost').length;
    // The first was given up for a reason, and nothing had happened.
    await rig.until('a second try', () => tries() >= 2);
    assert.ok(!seen.includes('rebuild excluding'), seen.join(', '));
    await load.nextAck();
    rig.up(second);
    await asked;
    await nothingLost(rig, load);
  });

  test('that led until now is its successor’s own, though a follower is well', async () => {
    const { at, onPhase } = hooks();
    await using rig = await startGroup('zone', { onPhase });
    await using load = new Acknowledged(rig);
    await load.nextAck();
    const { leader } = votersOf(rig);
    let copied = (): void => {};
    const copy = new Promise<void>((resolve) => (copied = resolve));
    let label = '';
    at('leadership opening', async () => {
      rig.up(leader);
      await copy;
    });
    at('rebuild starting', async () => {
      const file = join(rig.directory, 'nodes', leader, 'data', 'backup_label');
      label = await readFile(file, 'utf8');
      copied();
    });
    rig.down(leader);
    await rig.until('the copy', () => label !== '', 60_000);
    assert.match(label, /^BACKUP FROM: primary$/m);
    await load.nextAck();
    await nothingLost(rig, load);
  });
});

describe('a follower that was out of reach when its group opened again', () => {
  test('follows the new leader when it returns, and is not cloned', async () => {
    const { seen, onPhase } = hooks();
    let onElected: ((elected: string) => Promise<void>) | undefined;
    const onStore = async (document: unknown): Promise<void> => {
      const elected = leaderIn(document);
      if (elected !== undefined && elected !== leader) await onElected?.(elected);
    };
    let leader = '';
    await using rig = await startGroup('zone', { onPhase, onStore });
    await using load = new Acknowledged(rig);
    await load.nextAck();
    const voters = votersOf(rig);
    leader = voters.leader;
    let follower = '';
    onElected = async (elected) => {
      onElected = undefined;
      follower = elected === voters.first ? voters.second : voters.first;
      await rig.isolate(follower);
    };
    rig.down(leader);
    await rig.until('the successor to wait for somebody', async () => {
      return (await rig.group()).operation?.phase === 'opening';
    });
    // The old leader, cloned, confirms the barrier alone.
    rig.up(leader);
    await load.nextAck();
    await rig.rejoin(follower);
    await nothingLost(rig, load);
    assert.equal(seen.filter((phase) => phase === 'rebuild copying').length, 1, seen.join(', '));
  });
});
