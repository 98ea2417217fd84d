/** Every checker, in the order in which a report lists them. */
import type { Checker } from '../history.ts';
import { acknowledgedWrites } from './acknowledged-writes.ts';
import { changeOrder } from './change-order.ts';
import { copies } from './copies.ts';
import { dirtyReads } from './dirty-reads.ts';
import { idempotentOnce } from './idempotent-once.ts';
import { linearizableRegisters } from './linearizable-registers.ts';
import { listAppend } from './list-append.ts';
import { money } from './money.ts';
import { ownership } from './ownership.ts';
import { residency } from './residency.ts';
import { sessionReads } from './session-reads.ts';
import { staleness } from './staleness.ts';
import { tokens } from './tokens.ts';

export const CHECKERS: readonly Checker[] = [
  linearizableRegisters,
  listAppend,
  acknowledgedWrites,
  changeOrder,
  money,
  idempotentOnce,
  dirtyReads,
  sessionReads,
  tokens,
  staleness,
  ownership,
  residency,
  copies,
];
