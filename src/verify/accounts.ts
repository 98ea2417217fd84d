/** Opens the accounts of every workload, in every region. */
import type { MeridianClient } from '../client/api.ts';
import type { Account, Workload } from './workloads/workload.ts';

/** At a time: each waits for the primary region. */
const PARALLEL = 6;
const TIMEOUT_MS = 20_000;

export async function openAccounts(
  db: MeridianClient,
  workload: Workload,
  regions: readonly string[],
): Promise<readonly Account[]> {
  const wanted = regions.flatMap((region) =>
    Array.from({ length: workload.accountsPerRegion }, (_, index) => ({
      id: `${workload.name}-${region}-${String(index)}`,
      region,
    })),
  );
  const opened: Account[] = [];
  const next = wanted.values();
  const worker = async (): Promise<void> => {
    for (const { id, region } of next) {
      const { home } = await db.createAccount({ id, region, timeoutMs: TIMEOUT_MS });
      await db.account(id).transaction((tx) => workload.open(tx, id), { timeoutMs: TIMEOUT_MS });
      opened.push({ id, region, group: home.group });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return opened.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
