/** Every law, in the order in which they are run: those that end servers or engines come last. */
import type { Law } from '../law.ts';
import { CAPABILITY_LAWS } from './capability.ts';
import { CONSISTENCY_LAWS } from './consistency.ts';
import { CROSS_GROUP_LAWS } from './cross-group.ts';
import { FAULT_LAWS } from './faults.ts';
import { FENCE_LAWS } from './fence.ts';
import { LIFECYCLE_LAWS } from './lifecycle.ts';
import { OBSERVE_LAWS } from './observe.ts';
import { PERFORM_LAWS } from './perform.ts';
import { PLAN_LAWS } from './plan.ts';
import { TRANSACTION_LAWS } from './transactions.ts';

export const LAWS: readonly Law[] = [
  ...CAPABILITY_LAWS,
  ...CONSISTENCY_LAWS,
  ...TRANSACTION_LAWS,
  ...FENCE_LAWS,
  ...CROSS_GROUP_LAWS,
  ...FAULT_LAWS,
  ...OBSERVE_LAWS,
  ...PLAN_LAWS,
  ...LIFECYCLE_LAWS,
  ...PERFORM_LAWS,
];
