/** What is done to bring a cluster to its declaration, from any picture of it. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { present } from '../../src/kernel/assert.ts';
import type { ClusterSnapshot } from '../../src/engines/snapshot.ts';
import { planSteps } from '../../src/engines/postgres/plan.ts';
import { converged, DESIRED, file, FRESH } from './engine.fixtures.ts';

type Steps = ReturnType<typeof planSteps>;

const ids = (steps: Steps): string[] => steps.map((step) => step.id);

/** All that a step waits for, directly or not. */
function before(steps: Steps, id: string): Set<string> {
  const found = new Set<string>();
  const visit = (one: string): void => {
    for (const next of steps.find((step) => step.id === one)?.after ?? []) {
      if (!found.has(next)) visit(next);
      found.add(next);
    }
  };
  visit(id);
  return found;
}

describe('a plan', () => {
  test('for nothing yet makes everything, each after what it needs', () => {
    const steps = planSteps(DESIRED, FRESH);
    const count = (kind: string): number =>
      steps.filter((step) => step.id.startsWith(`${kind}:`)).length;
    assert.deepEqual(
      ['create-group', 'settle-group', 'start-node', 'open-group', 'migrate-database'].map(count),
      [3, 3, 15, 3, 3],
    );
    assert.deepEqual(['prepare-range', 'subscribe-globals'].map(count), [3, 2]);
    for (const group of DESIRED.groups) {
      const opening = before(steps, `open-group:${group.name}`);
      for (const node of group.nodes) assert.ok(opening.has(`start-node:${node.name}`));
      assert.ok(opening.has(`create-group:${group.name}`));
      const migrating = before(steps, `migrate-database:${group.name}`);
      assert.ok(migrating.has('rehearse-migrations'), 'nothing is applied that was not rehearsed');
      assert.ok(migrating.has(`open-group:${group.name}`));
      if (group.name === DESIRED.primaryGroup) continue;
      // The publisher has a table before its subscribers ask for it.
      assert.ok(migrating.has(`migrate-database:${DESIRED.primaryGroup}`));
      const subscribing = before(steps, `subscribe-globals:${group.name}`);
      assert.ok(subscribing.has(`migrate-database:${group.name}`));
      assert.ok(subscribing.has(`migrate-database:${DESIRED.primaryGroup}`));
    }
    for (const range of DESIRED.ranges) {
      const preparing = before(steps, `prepare-range:${range.name}`);
      assert.ok(preparing.has(`migrate-database:${range.group}`));
    }
  });

  test('names no step twice, waits for none that is not in it, and for itself never', () => {
    for (const observed of [FRESH, converged(), withGroup({ open: false })]) {
      const steps = planSteps(DESIRED, observed);
      const known = new Set(ids(steps));
      assert.equal(known.size, steps.length);
      for (const step of steps) {
        for (const id of step.after) assert.ok(known.has(id), `${step.id} waits for ${id}`);
        assert.ok(!before(steps, step.id).has(step.id));
      }
    }
  });

  test('for what is as declared is empty', () => {
    assert.deepEqual(planSteps(DESIRED, converged()), []);
  });

  test('makes a half-made group again while it is not settled', () => {
    const steps = planSteps(DESIRED, withoutNode('eu-west-1.b', { settled: false, open: false }));
    assert.ok(ids(steps).includes('create-group:eu-west-1'));
    assert.ok(ids(steps).includes('settle-group:eu-west-1'));
    assert.ok(!ids(steps).includes('create-group:us-east-1'), 'the others keep their data');
  });

  test('never makes a settled group again: a copy that is gone is cloned once the group is open', () => {
    const seen = withoutNode('eu-west-1.b', { settled: true, open: false });
    const steps = planSteps(DESIRED, seen);
    assert.ok(!ids(steps).some((id) => id.startsWith('create-group')));
    assert.ok(!ids(steps).includes('start-node:eu-west-1.b'), 'there is nothing to start');
    assert.ok(before(steps, 'rebuild-node:eu-west-1.b').has('open-group:eu-west-1'));
  });

  test('clones a copy that may not be used, and leaves what is down to who looks after it', () => {
    const seen = converged();
    const lost = { phase: 'lost', doneBytes: 0, totalBytes: null, sinceMs: 0 } as const;
    const nodes = {
      ...seen.nodes,
      'eu-west-1.b': { ...present(seen.nodes['eu-west-1.b'], 'node'), repair: lost },
      'eu-west-1.c': { ...present(seen.nodes['eu-west-1.c'], 'node'), running: false },
    };
    assert.deepEqual(ids(planSteps(DESIRED, { ...seen, nodes })), ['rebuild-node:eu-west-1.b']);
  });

  test('starts what does not run and opens what is closed, and makes nothing', () => {
    const observed = withGroup({ open: false });
    const nodes = Object.fromEntries(
      Object.entries(observed.nodes).map(([name, node]) => [
        name,
        node.group === 'eu-west-1' ? { ...node, running: false } : node,
      ]),
    );
    const steps = ids(planSteps(DESIRED, { ...observed, nodes }));
    assert.equal(steps.filter((id) => id.startsWith('start-node:eu-west-1.')).length, 5);
    assert.ok(steps.includes('open-group:eu-west-1'));
    assert.ok(!steps.some((id) => /create-group|settle-group|us-east-1/.test(id)));
  });

  test('applies a migration that was added or changed', () => {
    const added = { ...DESIRED, databaseMigrations: [...DESIRED.databaseMigrations, file('0002')] };
    assert.deepEqual(
      ids(planSteps(added, converged())).filter((id) => id.startsWith('migrate-database:')).length,
      3,
    );
    const changed = { ...DESIRED, regionalMigrations: [file('0001-purse.sql', 'another sum')] };
    assert.deepEqual(ids(planSteps(changed, converged())), [
      'rehearse-migrations',
      ...DESIRED.ranges.map((range) => `prepare-range:${range.name}`),
    ]);
  });

  test('is data, and equal for equal pictures, which it leaves as they are', () => {
    const observed = structuredClone(FRESH);
    const steps = planSteps(DESIRED, observed);
    assert.deepEqual(JSON.parse(JSON.stringify(steps)), steps);
    assert.deepEqual(planSteps(DESIRED, structuredClone(FRESH)), steps);
    assert.deepEqual(observed, FRESH);
  });
});

function withGroup(change: object, name = 'eu-west-1'): ClusterSnapshot {
  const seen = converged();
  const group = { ...seen.groups[name], ...change } as ClusterSnapshot['groups'][string];
  return { ...seen, groups: { ...seen.groups, [name]: group } };
}

function withoutNode(node: string, group: object): ClusterSnapshot {
  const seen = withGroup(group);
  const gone = { ...seen.nodes[node], initialised: false, running: false };
  return { ...seen, nodes: { ...seen.nodes, [node]: gone as ClusterSnapshot['nodes'][string] } };
}
