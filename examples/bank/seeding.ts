/**
 * Loads the reference data and waits until every region has it. Global rows reach other regions by
 * replication, shortly after their commit; an account can be opened once its own region's database
 * knows the country and the currency, since foreign keys are checked there.
 */
import { isMeridianError, type MeridianClient, type Transaction } from 'meridian';
import { COUNT_REFERENCE_ROWS, expectedReferenceRows, loadReferenceData } from './reference.ts';

const WAIT_MS = 30_000;
const POLL_MS = 50;
/** Any replica will do: what is asked is whether the rows have arrived there. */
const ANY_STALENESS_MS = 3_600_000;

/** `clients`: one per region, by name. The value is how many rows changed. */
export async function seedReferenceData(
  clients: ReadonlyMap<string, MeridianClient>,
): Promise<number> {
  const [first] = clients.values();
  if (first === undefined) throw new Error('no region to load the reference data into');
  const { value: changed } = await loadReferenceData(first);
  await Promise.all([...clients].map(([region, db]) => waitForRows(region, db)));
  return changed;
}

async function waitForRows(region: string, db: MeridianClient): Promise<void> {
  const probe = await ensureProbe(region, db);
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    // The nearest replica of the global tables, and the leader that will check foreign keys.
    const near = await db.global.read(countRows, { staleness: ANY_STALENESS_MS });
    const home = await db.account(probe).read(countRows);
    if (Math.min(near.value, home.value) >= expectedReferenceRows()) return;
    if (performance.now() > deadline) {
      throw new Error(`the reference data did not reach ${region} in ${String(WAIT_MS)} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** An account without rows, homed in the region: a way to ask the database that is home there. */
async function ensureProbe(region: string, db: MeridianClient): Promise<string> {
  const id = `reference-probe.${region}`;
  try {
    await db.createAccount({ region, id });
  } catch (error) {
    if (!isMeridianError(error, 'ERR_ACCOUNT_EXISTS')) throw error;
  }
  return id;
}

async function countRows(tx: Transaction): Promise<number> {
  const { rows } = await tx.query<{ count: number }>(COUNT_REFERENCE_ROWS);
  return rows[0]?.count ?? 0;
}
