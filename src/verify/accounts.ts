/** Opens the accounts of every workload, in every region. */
import type { MeridianClient } from '../client/api.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Account, Workload } from './workloads/workload.ts';

/** At a time: each waits for the primary region. */
const PARALLEL = 6;
const TIMEOUT_MS = 20_000;
/** Of two ranges one is drawn for each new account: so many in a row are in the other one hardly ever. */
const DRAWS_MAX = 64;

export interface Opening {
  readonly regions: readonly string[];
  /**
   * All of a region are in its first range. What is promised of accounts of one group is promised of them
   * whatever moves: they stay together.
   */
  readonly together: boolean;
}

type Client = MeridianClient & { readonly control: ControlSubscription };

export async function openAccounts(
  db: Client,
  workload: Workload,
  { regions, together }: Opening,
): Promise<readonly Account[]> {
  const wanted = regions.flatMap((region) =>
    Array.from({ length: workload.accountsPerRegion }, (_, index) => ({ region, index })),
  );
  const opened: Account[] = [];
  const next = wanted.values();
  const worker = async (): Promise<void> => {
    for (const { region, index } of next) {
      const account = await create(db, { region, together }, (draw) =>
        [workload.name, region, ...(draw === 0 ? [] : [`again${String(draw)}`]), index].join('-'),
      );
      const { id } = account;
      await db.account(id).transaction((tx) => workload.open(tx, id), { timeoutMs: TIMEOUT_MS });
      opened.push(account);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return opened.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Those that are in another range than they should stay empty, and nobody uses them. */
async function create(
  db: Client,
  { region, together }: { readonly region: string; readonly together: boolean },
  idOf: (draw: number) => string,
): Promise<Account> {
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    const id = idOf(draw);
    const { home } = await db.createAccount({ id, region, timeoutMs: TIMEOUT_MS });
    const { ranges } = db.control.view;
    const [first] = Object.keys(ranges)
      .filter((name) => ranges[name]?.group === home.group)
      .sort();
    if (!together || home.range === first) return { id, region, group: home.group };
  }
  throw new MeridianError('ERR_INTERNAL', `no account of ${region} came into its first range`);
}
