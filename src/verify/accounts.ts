/** Opens the accounts of every workload, in every region. */
import type { MeridianClient } from '../client/api.ts';
import type { ControlSubscription } from '../control/subscription.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Residency } from '../topology/residency.ts';
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
  /** To which some accounts of each movable workload are pinned. */
  readonly residency?: Residency | undefined;
}

/** An account that is still to be opened. */
interface Wanted {
  readonly region: string;
  readonly index: number;
  readonly residency?: string | undefined;
}

type Client = MeridianClient & { readonly control: ControlSubscription };

export async function openAccounts(
  db: Client,
  workload: Workload,
  opening: Opening,
): Promise<readonly Account[]> {
  const wanted = wantedOf(workload, opening);
  const opened: Account[] = [];
  const next = wanted.values();
  const worker = async (): Promise<void> => {
    for (const one of next) {
      const { region, index, residency = [] } = one;
      const account = await create(db, { ...one, together: opening.together }, (draw) => {
        const again = draw === 0 ? [] : [`again${String(draw)}`];
        return [workload.name, residency, region, again, index].flat().join('-');
      });
      const { id } = account;
      await db.account(id).transaction((tx) => workload.open(tx, id), { timeoutMs: TIMEOUT_MS });
      opened.push(account);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return opened.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

function wantedOf(
  { accountsPerRegion, movable }: Workload,
  { regions, residency }: Opening,
): Wanted[] {
  const free = regions.flatMap((region) =>
    Array.from({ length: accountsPerRegion }, (_, index) => ({ region, index })),
  );
  if (movable !== true || residency === undefined) return free;
  const { name, regions: within } = residency;
  return [...free, ...within.map((region) => ({ region, index: 0, residency: name }))];
}

/** Those that are in another range than they should stay empty, and nobody uses them. */
async function create(
  db: Client,
  { region, residency, together }: Wanted & Pick<Opening, 'together'>,
  idOf: (draw: number) => string,
): Promise<Account> {
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    const id = idOf(draw);
    const { home } = await db.createAccount({ id, region, residency, timeoutMs: TIMEOUT_MS });
    const { ranges } = db.control.view;
    const [first] = Object.keys(ranges)
      .filter((name) => ranges[name]?.group === home.group)
      .sort();
    if (!together || home.range === first) return { id, region, group: home.group, residency };
  }
  throw new MeridianError('ERR_INTERNAL', `no account of ${region} came into its first range`);
}
