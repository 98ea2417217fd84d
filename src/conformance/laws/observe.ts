/** A picture of the cluster is whole, still, and never older than the one before. */
import type { ClusterSnapshot } from '../../engines/snapshot.ts';
import type { Law } from '../law.ts';
import { must } from '../verdict.ts';
import { ANNA } from '../schema.ts';
import type { Stage } from '../stage.ts';

const OBSERVE_MS_MAX = 6_000;

function thawed(value: unknown, path: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (!Object.isFrozen(value)) return path;
  for (const [key, item] of Object.entries(value)) {
    const found = thawed(item, `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

const O1: Law = {
  id: 'O1',
  says: 'A snapshot is frozen through and through.',
  check: async (stage) => {
    const at = thawed(await stage.engine.observe({}), 'snapshot');
    must(at === undefined, `${at ?? ''} can be changed.`);
  },
};

const O2: Law = {
  id: 'O2',
  says: 'A snapshot has every declared node, and at most one leader in each group.',
  check: async (stage) => {
    const snapshot = await stage.engine.observe({});
    for (const group of stage.desired.groups) {
      const missing = group.nodes.filter((node) => snapshot.nodes[node.name] === undefined);
      must(missing.length === 0, `Absent: ${missing.map((node) => node.name).join(', ')}.`);
      const leaders = Object.values(snapshot.nodes).filter(
        (node) => node.group === group.name && node.role === 'leader',
      );
      must(leaders.length <= 1, `${group.name} has ${String(leaders.length)} leaders.`);
      const named = snapshot.groups[group.name]?.leader ?? null;
      must(
        named !== null && leaders[0]?.name === named,
        `${group.name} is said to be led by none.`,
      );
    }
  },
};

function assertNotBack(before: ClusterSnapshot, after: ClusterSnapshot): void {
  must(after.atMs >= before.atMs, 'A later snapshot bears an earlier time.');
  for (const kind of ['groups', 'ranges'] as const) {
    for (const [name, { epoch }] of Object.entries(before[kind])) {
      const next = after[kind][name]?.epoch ?? -1;
      must(next >= epoch, `The epoch of ${name} went from ${String(epoch)} to ${String(next)}.`);
    }
  }
}

const O3: Law = {
  id: 'O3',
  says: 'From one snapshot to the next no epoch goes back, whatever is restarted in between.',
  check: async (stage) => {
    const first = await stage.engine.observe({});
    const second = await stage.engine.observe({});
    assertNotBack(first, second);
    await stage.restart();
    assertNotBack(second, await stage.engine.observe({}));
  },
};

async function whilePaused(stage: Stage, node: string, run: () => Promise<void>): Promise<void> {
  await stage.faults.pause?.(node);
  try {
    await run();
  } finally {
    await stage.faults.resume?.(node);
  }
}

const O4: Law = {
  id: 'O4',
  says: 'A node that does not answer is unknown, never absent, and holds up nobody who asks.',
  faults: ['pause', 'resume'],
  check: async (stage) => {
    const silent = stage.sessions().farthest(ANNA);
    await whilePaused(stage, silent, async () => {
      const startedAt = stage.clock.monotonicMs();
      const snapshot = await stage.engine.observe({});
      const tookMs = stage.clock.monotonicMs() - startedAt;
      const role = snapshot.nodes[silent]?.role;
      must(role === 'unknown', `${silent} is ${role ?? 'absent'}.`);
      must(tookMs <= OBSERVE_MS_MAX, `The answer took ${tookMs.toFixed(0)} ms.`);
    });
    await stage.eventually(`${silent} to answer again`, async () => {
      const { nodes } = await stage.engine.observe({});
      return nodes[silent]?.streaming === true;
    });
  },
};

export const OBSERVE_LAWS: readonly Law[] = [O1, O2, O3, O4];
