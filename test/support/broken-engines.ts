/**
 * Engine adapters that are wrong in one way each. Every law of the conformance suite has one here that
 * it must catch.
 */
import { present } from '../../src/kernel/assert.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import {
  caching,
  countsPlans,
  FAR_AHEAD,
  forgetting,
  forwarding,
  groupsWith,
  handingOn,
  hasCode,
  journalled,
  leavingHalf,
  noChanges,
  observing,
  oncePerLife,
  planning,
  reads,
  remembers,
  repeating,
  sessions,
  stopsOnce,
  targets,
  unanimous,
  unfenced,
  unprepared,
  without,
  type Broken,
} from './engine-faults.ts';

/** In about the order of LAWS. */
export const BROKEN_ENGINES: readonly Broken[] = [
  {
    law: 'K1',
    does: 'claims more on the adapter than on the engine',
    adapter: (real) => ({ capabilities: { ...real.capabilities, rehome: 'metadata' } }),
  },
  {
    law: 'C1',
    does: 'gives an empty stream of changes instead of refusing',
    engine: () => ({ changes: () => Promise.resolve(noChanges()) }),
  },
  {
    law: 'C1',
    does: 'claims a change stream that it does not have',
    adapter: (real) => ({ capabilities: { ...real.capabilities, changeOrder: 'transaction' } }),
  },
  { law: 'S1', does: 'answers strong reads from a cache', connector: caching },
  { law: 'S2', does: 'reads at whatever position the replica is', connector: reads('atLeast') },
  { law: 'S3', does: 'forgets the bound of a read', connector: reads('maxStalenessMs') },
  { law: 'S4', does: 'passes on to the leader what a follower is asked', connector: forwarding },
  {
    law: 'S12',
    does: 'gives every commit the same position',
    connector: sessions((tx) => ({ commit: async () => ({ ...(await tx.commit()), log: 1n }) })),
  },
  {
    law: 'G1',
    does: 'takes writes of global tables and drops them',
    connector: (real) => ({
      begin: (target, options) =>
        target.access.kind === 'write' && target.access.global
          ? (forgetting(real).begin ?? real.begin)(target, options)
          : real.begin(target, options),
    }),
  },
  {
    law: 'S5',
    does: 'reports success for a commit that it has not heard of',
    connector: sessions((tx) => ({
      commit: () =>
        tx.commit().catch((error: unknown) => {
          if (hasCode(error, 'ERR_ENGINE_COMMIT_UNKNOWN')) return FAR_AHEAD;
          throw error;
        }),
    })),
  },
  { law: 'S6', does: 'repeats a refused transaction blindly', connector: repeating },
  {
    law: 'S7',
    does: 'replaces the epochs of a route by ones that fit',
    connector: targets((target, first) => ({
      ...target,
      access: { ...target.access, groupEpoch: first.access.groupEpoch },
      scopes: first.scopes,
    })),
  },
  {
    law: 'S8',
    does: 'commits what is rolled back',
    connector: sessions((tx) => ({
      rollback: async () => {
        await tx.commit().catch(() => {});
        await tx.rollback();
      },
    })),
  },
  { law: 'S9', does: 'hands a transaction that was left to the next caller', connector: handingOn },
  {
    law: 'S10',
    does: 'runs every statement in the first scope',
    connector: sessions((tx) => ({ query: (_, statement) => tx.query(0, statement) })),
  },
  { law: 'S11', does: 'opens whatever account a statement names', connector: unfenced },
  {
    law: 'X1',
    does: 'says that a half is prepared, and has dropped it',
    connector: (real) => ({ twoPhase: unprepared(present(real.twoPhase, 'the verbs')) }),
  },
  {
    law: 'T4',
    does: 'answers from a replica that was cut off',
    connector: reads('maxStalenessMs'),
  },
  {
    law: 'T3',
    does: 'acknowledges a commit that takes too long',
    connector: sessions((tx) => ({
      commit: () => Promise.race([tx.commit(), systemClock.sleep(300).then(() => FAR_AHEAD)]),
    })),
  },
  { law: 'T2', does: 'commits only while every server answers', connector: unanimous },
  { law: 'T1', does: 'acknowledges what it keeps nowhere', connector: forgetting },
  {
    law: 'O1',
    does: 'gives a snapshot that can be changed',
    engine: observing((seen) => structuredClone(seen)),
  },
  {
    law: 'O2',
    does: 'leaves a node out',
    engine: observing((seen) => without(seen, (_, last) => last)),
  },
  {
    law: 'O3',
    does: 'counts epochs anew in each life',
    engine: observing((seen, life) => (life === 0 ? seen : groupsWith(seen, { epoch: 1 }))),
  },
  {
    law: 'O4',
    does: 'leaves out what does not answer',
    engine: observing((seen) => without(seen, (node) => node.role === 'unknown')),
  },
  { law: 'P1', does: 'plans differently each time', engine: countsPlans() },
  {
    law: 'P2',
    does: 'always finds something to do',
    engine: planning((steps) => [
      ...steps,
      { ...{ id: 'look', summary: 'look', effect: 'metadata', after: [] }, action: {} },
    ]),
  },
  {
    law: 'P5',
    does: 'plans steps that hold more than data',
    engine: planning((steps) => steps.map((step) => ({ ...step, action: new Date(0) }))),
  },
  {
    law: 'P6',
    does: 'plans a step twice',
    engine: planning((steps) => [...steps, ...steps.slice(0, 1)]),
  },
  { law: 'P3', does: 'plans nothing in a new life', engine: planning(() => []) },
  {
    law: 'P4',
    does: 'opens a group before it has a quorum',
    engine: observing((seen) => groupsWith(seen, { open: true })),
  },
  {
    law: 'L4',
    does: 'does not hear of an abort',
    engine: (real) => ({ observe: () => real.observe({}) }),
  },
  { law: 'L1', does: 'leaves its servers running', engine: () => ({ stop: async () => {} }) },
  { law: 'L2', does: 'stops once and never again', engine: stopsOnce },
  { law: 'L3', does: 'answers from memory when it is closed', engine: remembers },
  { law: 'F1', does: 'cannot perform a step twice', engine: oncePerLife },
  { law: 'F2', does: 'does not take up what an earlier life began', engine: journalled() },
  // The last: what it leaves in the cluster stays there.
  { law: 'F3', does: 'leaves half of a migration that failed', engine: leavingHalf },
];
