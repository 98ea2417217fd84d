/** Plans are decided from what is declared and seen alone, and lead where they say. */
import { isDeepStrictEqual } from 'node:util';
import type { EngineStep } from '../../engines/engine.ts';
import type { ClusterSnapshot } from '../../engines/snapshot.ts';
import type { Law } from '../law.ts';
import { must } from '../verdict.ts';
import { converge, inOrder } from '../steps.ts';
import type { Stage } from '../stage.ts';

const EMPTY: ClusterSnapshot = Object.freeze({ atMs: 0, nodes: {}, groups: {}, ranges: {} });

/** From nothing, from all but one group, and from all there is. */
async function pictures(stage: Stage): Promise<ClusterSnapshot[]> {
  const whole = await stage.engine.observe({});
  const [gone] = stage.desired.groups.map((group) => group.name);
  const partly = {
    ...whole,
    groups: Object.fromEntries(Object.entries(whole.groups).filter(([name]) => name !== gone)),
    ranges: {},
  };
  return [EMPTY, partly, whole];
}

const listed = (steps: readonly EngineStep[]): string => steps.map((step) => step.id).join(', ');

const P1: Law = {
  id: 'P1',
  says: 'Planning is pure: equal inputs give equal steps, and neither is touched.',
  check: async (stage) => {
    const { engine, desired } = stage;
    for (const picture of await pictures(stage)) {
      const inputs = structuredClone({ desired, picture });
      const first = engine.plan(desired, picture);
      const second = engine.plan(inputs.desired, inputs.picture);
      must(isDeepStrictEqual(first, second), `First ${listed(first)}; then ${listed(second)}.`);
      must(isDeepStrictEqual({ desired, picture }, inputs), 'An input was changed.');
    }
  },
};

const P2: Law = {
  id: 'P2',
  says: 'When everything is as declared, nothing is planned.',
  check: async (stage) => {
    const steps = stage.engine.plan(stage.desired, await stage.engine.observe({}));
    must(steps.length === 0, `Planned: ${listed(steps)}.`);
  },
};

const P3: Law = {
  id: 'P3',
  says: 'A plan that was performed leaves nothing to plan, after few rounds at most.',
  check: async (stage) => {
    await stage.engine.stop();
    await stage.reopen();
    const steps = stage.engine.plan(stage.desired, await stage.engine.observe({}));
    const managed = stage.adapter.capabilities.lifecycle === 'managed';
    must(!managed || steps.length > 0, 'Nothing runs, and nothing is planned.');
    await converge(stage.engine, stage.desired);
  },
};

/** Groups that take writes with fewer voters than a commit needs. */
function exposed(stage: Stage, snapshot: ClusterSnapshot): string[] {
  return stage.desired.groups
    .filter((group) => {
      const voters = group.nodes.filter((node) => node.kind === 'voter');
      const up = voters.filter((node) => snapshot.nodes[node.name]?.running === true);
      const quorum = Math.floor(voters.length / 2) + 1;
      return snapshot.groups[group.name]?.open === true && up.length < quorum;
    })
    .map((group) => group.name);
}

const P4: Law = {
  id: 'P4',
  says: 'No beginning of a plan leaves a group open for writes without a quorum of its voters.',
  check: async (stage) => {
    const { desired } = stage;
    await stage.engine.stop();
    await stage.reopen();
    const steps = inOrder(stage.engine.plan(desired, await stage.engine.observe({})));
    for (const step of steps) {
      await stage.engine.perform(step, desired);
      const open = exposed(stage, await stage.engine.observe({}));
      must(open.length === 0, `After ${step.id}, ${open.join(' and ')} took writes.`);
    }
    await stage.converge();
  },
};

const P5: Law = {
  id: 'P5',
  says: 'Steps are plain data: they survive a journey through JSON.',
  check: async (stage) => {
    for (const picture of await pictures(stage)) {
      const steps = stage.engine.plan(stage.desired, picture);
      const returned: unknown = JSON.parse(JSON.stringify(steps));
      must(isDeepStrictEqual(steps, returned), 'What comes back is not what was sent.');
    }
  },
};

const P6: Law = {
  id: 'P6',
  says: 'Step ids are unique within a plan, and `after` names steps of it without going round.',
  check: async (stage) => {
    for (const picture of await pictures(stage)) {
      const steps = stage.engine.plan(stage.desired, picture);
      const ids = new Set(steps.map((step) => step.id));
      must(ids.size === steps.length, `An id is used twice among: ${listed(steps)}.`);
      inOrder(steps);
    }
  },
};

export const PLAN_LAWS: readonly Law[] = [P1, P2, P5, P6, P3, P4];
