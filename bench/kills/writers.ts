/**
 * Writers beside every database, through the client library: each inserts one row after the other and
 * notes what it was told. Half of the rows whose outcome is not known are sent again; the answer then
 * promises a row that an attempt before it may have left, which must not rest on one disk alone.
 */
import { setMaxListeners } from 'node:events';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Random } from '../../src/kernel/random.ts';
import type { Door } from '../../src/verify/doors.ts';
import type { VerifyCluster } from '../../src/verify/cluster.ts';
import { pick, streamOf } from '../../src/verify/seed.ts';
import type { Books } from './books.ts';

export interface Account {
  readonly id: string;
  readonly region: string;
  readonly group: string;
}

export interface WriteCounts {
  acknowledged: number;
  /** Once all sendings of it are over. */
  unknown: number;
  refused: number;
  readonly codes: Record<string, number>;
}

const ACCOUNTS_PER_REGION = 3;
/** Beside each region; one of them writes to any region's accounts. */
const WRITERS_PER_REGION = 4;
const THINK_MAX_MS = 40;
const SENDINGS_MAX = 5;

export async function openAccounts({ observer, config }: VerifyCluster): Promise<Account[]> {
  const accounts: Account[] = [];
  for (const { name: region } of config.regions) {
    for (let number = 0; number < ACCOUNTS_PER_REGION; number += 1) {
      const id = `kills-${region}-${String(number)}`;
      const { home } = await observer.createAccount({ id, region });
      accounts.push({ id, region, group: home.group });
    }
  }
  return accounts;
}

export class Writers {
  readonly #books: Books;
  readonly #loops: readonly { readonly door: Door; readonly accounts: readonly Account[] }[];
  readonly #random: Random;
  #next = 0;
  #pause = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  counts: WriteCounts = noCounts();

  constructor(
    { regions }: VerifyCluster,
    parts: {
      readonly books: Books;
      readonly accounts: readonly Account[];
      readonly seed: number;
    },
  ) {
    this.#books = parts.books;
    this.#random = streamOf(parts.seed, 'writers');
    this.#loops = regions.flatMap(({ region, libraries }) =>
      Array.from({ length: WRITERS_PER_REGION }, (_, index) => {
        const own = parts.accounts.filter((account) => account.region === region);
        const door = libraries[index % libraries.length];
        if (door === undefined) throw new Error(`there is no client in ${region}`);
        return { door, accounts: index === WRITERS_PER_REGION - 1 ? parts.accounts : own };
      }),
    );
  }

  begin(): void {
    this.#pause = new AbortController();
    const { signal } = this.#pause;
    // Every writer sleeps on it.
    setMaxListeners(0, signal);
    this.#running = Promise.all(
      this.#loops.map(async ({ door, accounts }) => {
        while (!signal.aborted) {
          await this.#write(door, pick(this.#random, accounts) as Account);
          const thinkMs = THINK_MAX_MS * this.#random.next();
          await systemClock.sleep(thinkMs, signal).catch(() => {});
        }
      }),
    );
  }

  /** Resolves when what was sent has been answered; with the counts since they were last taken. */
  async pause(): Promise<WriteCounts> {
    this.#pause.abort();
    await this.#running;
    const { counts } = this;
    this.counts = noCounts();
    return counts;
  }

  async #write(door: Door, account: Account): Promise<void> {
    this.#next += 1;
    const id = String(this.#next);
    const sendings = this.#random.below(2) === 0 ? 1 : SENDINGS_MAX;
    let unknown = false;
    for (let sending = 1; sending <= sendings; sending += 1) {
      const answer = await door.send({ kind: 'insert', account: account.id, id });
      if (answer.outcome === 'ok') {
        this.#books.acknowledge(account.id, id, performance.now());
        this.counts.acknowledged += 1;
        return;
      }
      this.counts.codes[answer.code] = (this.counts.codes[answer.code] ?? 0) + 1;
      unknown ||= answer.outcome === 'unknown';
      // A refusal is final: what it promised is checked.
      if (!unknown) break;
    }
    if (unknown) this.#books.doubt(account.id, id);
    this.counts[unknown ? 'unknown' : 'refused'] += 1;
  }
}

function noCounts(): WriteCounts {
  return { acknowledged: 0, unknown: 0, refused: 0, codes: {} };
}
