/** When a cluster has recovered: every group open, every copy streaming, nothing in doubt. */
import type { StatusReport } from '../control/status.ts';
import type { Clock } from '../kernel/clock.ts';

const SETTLE_TIMEOUT_MS = 60_000;
const INTERVAL_MS = 500;

/** What is not as it should be; of these groups, or of all, and of every process. Pure. */
export function missing(status: StatusReport, groups?: readonly string[]): string[] {
  const asked = (group: string): boolean => groups?.includes(group) ?? true;
  const closed = status.groups
    .filter(({ name, leader }) => asked(name) && leader === null)
    .map(({ name }) => `${name} has no leader`);
  const leaders = new Map(status.groups.map(({ name, leader }) => [name, leader]));
  const nodes = status.nodes
    .filter(({ group, name, state }) => {
      if (!asked(group)) return false;
      return leaders.get(group) === name ? state !== 'leader' : state !== 'streaming';
    })
    .map(({ name, state }) => `${name} is ${state}`);
  const doubt = status.groups
    .filter(({ name, inDoubt }) => asked(name) && inDoubt?.count !== 0)
    .map(({ name, inDoubt }) =>
      inDoubt === null
        ? `${name} does not say what is in doubt`
        : `${String(inDoubt.count)} transactions are in doubt in ${name}`,
    );
  const edge = [...status.gateways, ...status.appServers]
    .filter(({ state }) => groups === undefined && state !== 'ready')
    .map(({ name, state }) => `${name} is ${state}`);
  const moves = status.groups
    .flatMap((group) => group.moves)
    .filter(() => groups === undefined)
    .map(({ range, to }) => `${range} is on its way to ${to}`);
  const transfers = status.transfers
    .filter(() => groups === undefined)
    .map(({ number }) => `transfer ${String(number)} of accounts has not ended`);
  return [...closed, ...nodes, ...doubt, ...edge, ...moves, ...transfers];
}

/** May be struck again: open and complete; what is in doubt may be so for a moment. */
export function isWhole(status: StatusReport, groups: readonly string[]): boolean {
  const calm = { inDoubt: { count: 0, oldestMs: 0 } };
  const without = { ...status, groups: status.groups.map((group) => ({ ...group, ...calm })) };
  return missing(without, groups).length === 0;
}

/** Empty when everything has recovered in time; else what is missing still. */
export async function settle(
  read: () => Promise<StatusReport>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const endMs = clock.monotonicMs() + SETTLE_TIMEOUT_MS;
  let quiet = 0;
  for (;;) {
    const left = missing(await read());
    quiet = left.length === 0 ? quiet + 1 : 0;
    // Twice: what was looked at first may have changed while the rest was looked at.
    if (quiet === 2) return [];
    if (clock.monotonicMs() > endMs) return left.length === 0 ? ['it did not stay whole'] : left;
    await clock.sleep(INTERVAL_MS, signal);
  }
}
