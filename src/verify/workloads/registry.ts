/** Every workload: one line each. */
import { bank } from './bank.ts';
import { inserts } from './inserts.ts';
import { lists } from './lists.ts';
import { registers } from './registers.ts';
import type { Workload } from './workload.ts';

export const WORKLOADS: readonly Workload[] = [registers, lists, bank, inserts];
