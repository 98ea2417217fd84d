/**
 * Bugs that each lost somebody's data once, as changes to the compiled platform. The platform itself has
 * no switch for them: a copy of it is bent (plant.ts), and `meridian verify` has to notice.
 *
 * A change names the text that it replaces. When that text is gone the test fails, and the bug has to
 * be planted anew where its guard has moved to.
 */
import type { FaultKind } from '../../src/verify/nemesis/steps.ts';
import type { SurvivalGoal } from '../../src/topology/survival.ts';

export interface PlantedBug {
  readonly name: string;
  /** What a programmer may have thought. */
  readonly story: string;
  readonly changes: readonly Change[];
  /** The layouts that have what the bug is about; the first is tried first. */
  readonly layouts: readonly [SurvivalGoal, ...SurvivalGoal[]];
  /**
   * It shows as a cluster that never recovers, even if every checker is content. Of other bugs that says
   * nothing: a busy machine can be as slow.
   */
  readonly staysBroken?: true;
  /** What strikes, where everything at once would leave the bug no time; left out: everything. */
  readonly faults?: readonly FaultKind[];
}

export interface Change {
  /** Below dist/src. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const BARRIER = 'await quorumCommit(cluster, group, {';
/** A commit of the new epoch that waits for one disk, where the condition holds. */
const localBarrier = (condition: string): Change => ({
  file: 'engines/postgres/opening.js',
  from: BARRIER,
  to: `if (${condition}) {
            await client.query('SET synchronous_commit = local');
            await client.query('UPDATE meridian.group_state SET epoch = $1', [epoch]);
        } else ${BARRIER}`,
});

/** What a range leaves behind is there for as long as the comparison of a large one takes. */
const SLOW_COMPARISON: Change = {
  file: 'engines/postgres/ranges/move-effects.js',
  from: 'cleaning: async (moving) => {',
  to: 'cleaning: async (moving) => { await moving.cluster.services.clock.sleep(3000);',
};

const BOTH = ['zone', 'region'] as const;

export const PLANTED_BUGS: readonly PlantedBug[] = [
  {
    name: 'no-barrier',
    story: 'Whoever is promoted leads: it need not wait for another voter before it serves.',
    changes: [localBarrier('group.unconfirmed.size > 0')],
    layouts: BOTH,
  },
  {
    name: 'no-barrier-after-restart',
    story: 'A leader that was started in place has all its data: it may serve at once.',
    changes: [localBarrier('group.unconfirmed.size === 0')],
    layouts: BOTH,
  },
  {
    name: 'one-fenced',
    story: 'One standby is enough to go on with: no need to ask the other one.',
    changes: [
      {
        file: 'engines/postgres/arbiter/failover.js',
        from: 'name !== group.leader);\n    const candidates',
        to: 'name !== group.leader).slice(0, 1);\n    const candidates',
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'old-data',
    story: 'The old leader has all the data but the last bit: it may follow without a clone.',
    changes: [
      {
        file: 'engines/postgres/arbiter/failover.js',
        from: '{ leader: election.winner, excluded: [old], leftOut, asked }',
        to: '{ leader: election.winner, excluded: [], leftOut, asked }',
      },
      // The second guard: one that has forked is cloned once it is told from one that is late.
      {
        file: 'engines/postgres/arbiter/node-judgement.js',
        from: 'if (facts.outrun || facts.strandedMs > STRANDED_MAX_MS)',
        to: 'if (facts.outrun)',
      },
    ],
    layouts: BOTH,
    // PostgreSQL itself does not let a log that has forked stream: it stays behind, and confirms nothing.
    staysBroken: true,
  },
  {
    name: 'commit-lowered',
    story: 'Commits are so much quicker when they wait for the local disk alone.',
    changes: [
      {
        file: 'engines/postgres/closing.js',
        from: "'SET LOCAL synchronous_commit = on; COMMIT'",
        to: "'SET LOCAL synchronous_commit = local; COMMIT'",
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'cancelled-wait',
    story: 'The server said COMMIT, so it is committed; it was only a warning.',
    changes: [
      {
        file: 'engines/postgres/closing.js',
        from: 'waitCancelled = true;',
        to: 'waitCancelled = false;',
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'lease-ignored',
    story: 'A leader knows that it leads: strong reads need not look at the lease.',
    changes: [
      {
        file: 'engines/postgres/schema-lease.js',
        from: 'OR v.lease_until <= meridian.clock() THEN',
        to: 'OR false THEN',
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'streams-from-leader',
    story: 'A non-voter is fresher when it streams from the leader itself.',
    changes: [
      {
        file: 'engines/postgres/arbiter/upstreams.js',
        from: 'const hosts = fit.length > 0 ? fit : followers;',
        to: 'const hosts = [leader];',
      },
    ],
    layouts: ['zone'],
  },
  {
    name: 'rolled-back-after-decision',
    story: 'A transaction that has lost its caller is rolled back: nobody waits for it.',
    changes: [
      {
        file: 'engines/recovery.js',
        from: 'port.finish(group, gid, decision)',
        to: "port.finish(group, gid, 'abort')",
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'move-continued',
    story:
      'What was copied before a leader changed is there: the next attempt follows from then on.',
    changes: [
      {
        file: 'engines/postgres/ranges/move-effects.js',
        from: 'await subscribe(moving);',
        to: 'await subscribe(moving); moving.copied = true;',
      },
      {
        file: 'engines/postgres/ranges/move-effects.js',
        from: 'await removeFromTarget(moving);',
        to: 'await (moving.copied && !moving.cancelled ? unsubscribe(moving) : removeFromTarget(moving));',
      },
      {
        file: 'engines/postgres/ranges/move-effects.js',
        from: 'await prepareTarget(moving);',
        to: 'if (!moving.copied) await prepareTarget(moving);',
      },
      {
        file: 'engines/postgres/ranges/target.js',
        from: 'copy_data = true',
        to: "copy_data = ${moving.copied ? 'false' : 'true'}",
      },
      // The guard behind it: a table that has rows must not arrive without any.
      {
        file: 'engines/postgres/ranges/target.js',
        from: 'if (missing.length === 0)',
        to: 'if (missing.length >= 0)',
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'source-still-read',
    story: 'A closed range takes no writes, so it may be read until it is gone.',
    changes: [
      {
        file: 'engines/postgres/schema-admission.js',
        from: "(v.range_epoch IS DISTINCT FROM p_range_epoch OR v.state IS DISTINCT FROM 'open')",
        to: '(v.range_epoch IS DISTINCT FROM p_range_epoch)',
      },
      SLOW_COMPARISON,
    ],
    layouts: BOTH,
  },
  {
    name: 'route-unchecked',
    story: 'Whoever was given a route may use it: he would have been told of another one.',
    changes: [
      {
        file: 'engines/postgres/schema-admission.js',
        from: "(v.range_epoch IS DISTINCT FROM p_range_epoch OR v.state IS DISTINCT FROM 'open')",
        to: 'v.range_epoch IS NULL',
      },
      {
        file: 'engines/postgres/ranges/source.js',
        from: "await client.query(tables.map(fenceStatement).join('; '));",
        to: '',
      },
      SLOW_COMPARISON,
    ],
    layouts: BOTH,
  },
  {
    name: 'sequences-forgotten',
    story: 'Rows are copied, all of them: what else could a range have?',
    changes: [
      {
        file: 'engines/postgres/ranges/move-effects.js',
        from: 'moving.sequences = closed.sequences;',
        to: 'moving.sequences = [];',
      },
    ],
    layouts: BOTH,
  },
  {
    name: 'residency-unchecked',
    story: 'Whoever moves a range knows where it may be: he has read the declaration.',
    changes: [
      {
        file: 'engines/postgres/ranges/pinned.js',
        from: 'if (has === gets)',
        to: 'if (has === gets || true)',
      },
    ],
    layouts: ['zone'],
    // Once asked to leave, accounts go after half a minute or not at all.
    faults: ['crash', 'switchover', 'rehome'],
  },
  {
    name: 'copier-fenced',
    story: 'Tenants are kept apart for every role; the one that copies is no exception.',
    changes: [
      {
        file: 'engines/postgres/schema-fence.js',
        from: ' BYPASSRLS;',
        to: ' NOBYPASSRLS;',
      },
      // The second guard, before the source is closed.
      {
        file: 'engines/postgres/ranges/target.js',
        from: 'if (missing.length === 0)',
        to: 'if (missing.length >= 0)',
      },
    ],
    layouts: BOTH,
  },
];
