/** Claims are exercised, and what is not claimed is refused rather than attempted. */
import type { EngineCapabilities } from '../../engines/capabilities.ts';
import { isDeepStrictEqual } from 'node:util';
import type { Law } from '../law.ts';
import { must, refusal } from '../verdict.ts';

/**
 * Which laws exercise a claim. Total: the compiler asks for a line with each new capability. Empty: it
 * describes, and promises nothing that could be broken.
 */
export const EXERCISED_BY: Readonly<
  Record<keyof EngineCapabilities, (capabilities: EngineCapabilities) => readonly string[]>
> = {
  lifecycle: () => ['L1', 'L2', 'F1', 'F2'],
  failover: () => ['T1'],
  survivalGoals: () => ['P4', 'T2', 'T3'],
  localities: () => ['S10', 'G1'],
  localityMechanism: () => [],
  rehome: () => [],
  followerReads: () => ['S2', 'S3', 'T4'],
  crossGroupTransactions: () => ['X1'],
  positionKind: () => ['S12'],
  changeOrder: () => ['C1'],
  transactionalDdl: () => ['F3'],
};

const K1: Law = {
  id: 'K1',
  says: 'Capabilities are plain data, the same on the adapter and on its engine.',
  check: async (stage) => {
    const claimed = stage.adapter.capabilities;
    must(isDeepStrictEqual(claimed, stage.engine.capabilities), 'Adapter and engine differ.');
    const returned: unknown = JSON.parse(JSON.stringify(claimed));
    must(isDeepStrictEqual(claimed, returned), 'They do not survive a journey through JSON.');
    must(claimed.survivalGoals.includes(stage.shape.survive), 'The layout is not claimed.');
  },
};

const C1: Law = {
  id: 'C1',
  says: 'A change stream is claimed with its order, or asking for one is refused with ERR_ENGINE_UNSUPPORTED.',
  claimed: ({ changeOrder }) => changeOrder !== 'none',
  check: async () => {
    must(false, 'The port says nothing yet of what a stream holds, so no engine can claim one.');
  },
  refuse: async (stage) => {
    const stream = stage.engine.changes(undefined);
    await refusal(stream, ['ERR_ENGINE_UNSUPPORTED'], 'A change stream that is not claimed');
  },
};

export const CAPABILITY_LAWS: readonly Law[] = [K1, C1];
