/**
 * The load under which the leader is killed: writers that remember every acknowledged id, and a
 * reader of the failover slot that remembers every decoded id. Both are checked against the last
 * leader at the end: an acknowledged id that is missing there is a lost commit.
 */
import type pg from 'pg';
import { lsnNumber, sleep } from './postgres.ts';
import type { Server } from './postgres.ts';

/** Where clients may go; undefined while no leader is open. */
export interface Route {
  leader: Server | undefined;
}

export class Writers {
  readonly acked = new Set<number>();
  unknown = 0;
  lastAckAt = 0;
  paused = false;
  readonly #route: Route;
  readonly #loops: Promise<void>[] = [];
  #next = 1;
  #inFlight = 0;
  #stopped = false;

  constructor(route: Route, count: number) {
    this.#route = route;
    for (let i = 0; i < count; i++) this.#loops.push(this.#loop());
  }

  async #loop(): Promise<void> {
    let client: pg.Client | undefined;
    let at: Server | undefined;
    while (!this.#stopped) {
      const leader = this.#route.leader;
      if (this.paused || leader === undefined) {
        await sleep(2);
        continue;
      }
      this.#inFlight++;
      try {
        if (client === undefined || at !== leader) {
          await client?.end().catch(() => undefined);
          client = await this.#open(leader);
          at = leader;
        }
        await this.#insert(client);
        await sleep(2); // about 2000 writes a second in all, which the slot reader can follow
      } catch {
        this.unknown++;
        void client?.end().catch(() => undefined);
        client = undefined;
        await sleep(5);
      } finally {
        this.#inFlight--;
      }
    }
    await client?.end().catch(() => undefined);
  }

  async #open(leader: Server): Promise<pg.Client> {
    const client = await leader.connect();
    // A cancelled quorum wait is reported as success plus this notice: it is not an acknowledgement.
    client.on('notice', (notice) => {
      if (notice.code === '01000') client.connection.stream.destroy();
    });
    return client;
  }

  async #insert(client: pg.Client): Promise<void> {
    const id = this.#next++;
    await client.query({
      name: 'write',
      text: 'insert into ledger (id, pad) values ($1, $2)',
      values: [id, 'x'.repeat(80)],
    });
    this.acked.add(id);
    this.lastAckAt = performance.now();
  }

  /** No statement in flight when this resolves. */
  async pause(): Promise<void> {
    this.paused = true;
    while (this.#inFlight > 0) await sleep(2);
  }

  resume(): void {
    this.paused = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }
}

interface Change {
  readonly lsn: string;
  readonly data: string;
}

/**
 * Peek, remember, then advance, as a real consumer of a change stream would: the server sends again
 * what a synced slot lags behind, and the consumer skips commits at or below its own last position.
 */
export class SlotReader {
  readonly ids = new Set<number>();
  duplicates = 0;
  skipped = 0;
  #position = 0;
  /** Times the slot was not there on a new leader. */
  slotLost = 0;
  readonly #route: Route;
  readonly #done: Promise<void>;
  #stopped = false;

  constructor(route: Route) {
    this.#route = route;
    this.#done = this.#loop();
  }

  async #loop(): Promise<void> {
    let client: pg.Client | undefined;
    let at: Server | undefined;
    while (!this.#stopped) {
      const leader = this.#route.leader;
      try {
        if (leader !== undefined && (client === undefined || at !== leader)) {
          await client?.end().catch(() => undefined);
          client = await leader.connect();
          at = leader;
        }
        if (client !== undefined) await this.#poll(client);
      } catch (error) {
        void client?.end().catch(() => undefined);
        client = undefined;
        if (String(error).includes('does not exist')) this.slotLost++;
      }
      await sleep(10);
    }
    await client?.end().catch(() => undefined);
  }

  async #poll(client: pg.Client): Promise<void> {
    const { rows } = await client.query<Change>(
      `select lsn, data from pg_logical_slot_peek_changes('cdc', null, 5000)`,
    );
    let last: string | undefined;
    let open: number[] = [];
    for (const { lsn, data } of rows) {
      const id = Number(/^table public\.ledger: INSERT: id\[bigint\]:(\d+)/.exec(data)?.[1]);
      if (!Number.isNaN(id)) open.push(id);
      if (!data.startsWith('COMMIT')) continue;
      last = lsn;
      this.#commit(lsnNumber(lsn), open);
      open = [];
    }
    if (last !== undefined) {
      await client.query(`select pg_replication_slot_advance('cdc', $1::pg_lsn)`, [last]);
    }
  }

  #commit(position: number, ids: readonly number[]): void {
    if (position <= this.#position) {
      this.skipped += ids.length;
      return;
    }
    this.#position = position;
    for (const id of ids) {
      if (this.ids.has(id)) this.duplicates++;
      this.ids.add(id);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}
