/** What the failovers of the zone layout showed: the check of every acknowledged id, and the table. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { SlotReader, Writers } from './failover-load.ts';
import { median, printTable, quantile } from './measure.ts';
import type { Row } from './measure.ts';
import { until, workspace } from './postgres.ts';
import type { Server } from './postgres.ts';

/** One kill; times in milliseconds since the kill unless said. */
export interface Cycle {
  fence: number;
  promote: number;
  durable: number;
  firstAck: number;
  /** Until it streams the new timeline past the barrier, per non-voter. */
  moved: number[];
  stayed: number[];
  recloned: number;
  reclone: number;
  slotReady: number;
  spread: number;
}

/** The group as the bench left it. */
interface Ended {
  readonly voters: readonly Server[];
  readonly others: readonly Server[];
  readonly leader: Server;
  readonly writers: Writers;
}

interface Seen {
  readonly mode: string;
  readonly cycles: readonly Cycle[];
  readonly different: number;
}

function logLines(servers: readonly Server[], pattern: RegExp): number {
  let count = 0;
  for (const server of servers) {
    const log = fs.readFileSync(path.join(workspace, `${server.name}.log`), 'utf8');
    count += log.split('\n').filter((line) => pattern.test(line)).length;
  }
  return count;
}

const span = (values: readonly number[]): string =>
  values.length === 0
    ? '-'
    : `${median(values).toFixed(0)} / ${quantile(values, 0.95).toFixed(0)} / ` +
      `${Math.max(...values).toFixed(0)} (n=${String(values.length)})`;

async function check(state: Ended, reader: SlotReader): Promise<Row> {
  await state.writers.stop();
  await until('the slot is drained', async () => {
    await Promise.resolve();
    return [...state.writers.acked].every((id) => reader.ids.has(id));
  }).catch(() => undefined);
  await reader.stop();
  const rows = await state.leader.run<{ id: string }>(`select id from ledger`);
  const stored = new Set(rows.map((row) => Number(row.id)));
  const acked = [...state.writers.acked];
  return {
    'acked writes': acked.length,
    'acked writes lost': acked.filter((id) => !stored.has(id)).length,
    'unknown outcomes': state.writers.unknown,
    'acked but never decoded': acked.filter((id) => !reader.ids.has(id)).length,
    'decoded but not stored (phantom)': [...reader.ids].filter((id) => !stored.has(id)).length,
    'sent again after a failover, skipped by position': reader.skipped,
    'decoded twice all the same': reader.duplicates,
    'failover slot missing after promotion': reader.slotLost,
  };
}

export async function report(state: Ended, reader: SlotReader, seen: Seen): Promise<void> {
  const { cycles, different, mode } = seen;
  const all = [...state.voters, ...state.others];
  const times = (pick: (cycle: Cycle) => number): string => span(cycles.map(pick));
  const figures: Row = {
    'kills; mode': `${String(cycles.length)}; ${mode}`,
    ...(await check(state, reader)),
    'copies that differed after a cycle': different,
    'non-voters re-cloned (forked or stuck)': cycles.reduce(
      (sum, cycle) => sum + cycle.recloned,
      0,
    ),
    'log: "forked off"': logLines(state.others, /forked off/),
    'log: "ahead of the WAL flush position"': logLines(all, /ahead of the WAL flush position/),
    'kill to both voters fenced, ms': times((cycle) => cycle.fence),
    'kill to promoted, ms': times((cycle) => cycle.promote),
    'kill to barrier durable, ms': times((cycle) => cycle.durable),
    'kill to first acked write, ms': times((cycle) => cycle.firstAck),
    'kill to non-voter streaming, repointed, ms': span(cycles.flatMap((cycle) => cycle.moved)),
    'kill to non-voter streaming, stayed, ms': span(cycles.flatMap((cycle) => cycle.stayed)),
    're-clone of the old leader, ms': times((cycle) => cycle.reclone),
    'failover slot ready again after that, ms': times((cycle) => cycle.slotReady),
    'bytes between the voters at the fence': times((cycle) => cycle.spread),
  };
  const rows = Object.entries(figures).map(([what, value]) => ({ what, value }));
  printTable('Failovers in the zone layout (ms: median / p95 / max)', rows);
}
