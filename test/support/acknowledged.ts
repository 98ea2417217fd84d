/**
 * Writers that remember every acknowledged row, through the data side of the engine port: what a failover
 * must never lose.
 */
import type { Access, Connector, SessionTarget } from '../../src/engines/connector.ts';
import { postgresAdapter } from '../../src/engines/postgres/adapter.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { MeridianError } from '../../src/kernel/errors.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { systemRandom } from '../../src/kernel/random.ts';
import type { GroupRig } from './group-rig.ts';

const ACCOUNT = 'anna';
const FIRST_RANGE = 'r0001';
const PAUSE_MS = 4;
const COPIES_TIMEOUT_MS = 30_000;

export class Acknowledged implements AsyncDisposable {
  readonly acked = new Set<number>();
  unknown = 0;
  refused = 0;
  lastAckAtMs = 0;
  longestGapMs = 0;
  /** Where the account is, for all that was told. */
  range = FIRST_RANGE;
  readonly #rig: GroupRig;
  readonly #connector: Connector;
  readonly #loops: Promise<void>[];
  readonly #stop = new AbortController();
  #next = 1;

  constructor(rig: GroupRig, writers = 4) {
    this.#rig = rig;
    this.#connector = postgresAdapter.connector({
      ...{ clock: systemClock, random: systemRandom, log: silentLog },
      applicationName: 'writers',
      credentials: rig.engine.applicationCredentials(),
      ...{ connectionsMax: 16, connectTimeoutMs: 1_000 },
    });
    this.#loops = Array.from({ length: writers }, () => this.#loop());
  }

  target(kind: 'write' | 'strong-read', node?: string): SessionTarget | undefined {
    const routes = this.#rig.engine.routes();
    const range = routes.ranges[this.range];
    const group = routes.groups[range?.group ?? ''];
    const name = node ?? group?.leader;
    const spec = this.#rig.nodes.find((one) => one.name === name);
    if (group === undefined || spec === undefined || range === undefined) return undefined;
    return {
      node: { ...spec, address: this.#rig.address(spec.name), roundTripMs: 0 },
      group: range.group,
      access:
        kind === 'write'
          ? { kind, groupEpoch: group.epoch, global: false }
          : { kind, groupEpoch: group.epoch },
      scopes: [{ range: { name: this.range, epoch: range.epoch }, account: ACCOUNT }],
    };
  }

  async #loop(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const target = this.target('write');
      if (target === undefined) {
        await systemClock.sleep(2);
        continue;
      }
      const id = this.#next++;
      try {
        await this.#insert(target, id);
        const now = performance.now();
        if (this.lastAckAtMs > 0) {
          this.longestGapMs = Math.max(this.longestGapMs, now - this.lastAckAtMs);
        }
        this.lastAckAtMs = now;
        this.acked.add(id);
      } catch (error) {
        const { outcome, details } = error as MeridianError;
        if (outcome === 'unknown') this.unknown += 1;
        else this.refused += 1;
        const { into } = (details['departed'] ?? {}) as { into?: string };
        if (into !== undefined) this.range = into;
      }
      await systemClock.sleep(PAUSE_MS);
    }
  }

  async #insert(target: SessionTarget, id: number): Promise<void> {
    const giveUp = new AbortController();
    const cancel = systemClock.schedule(1_500, () => {
      giveUp.abort();
    });
    const signal = AbortSignal.any([giveUp.signal, this.#stop.signal]);
    try {
      const tx = await this.#connector.begin(target, { signal });
      try {
        await tx.query(0, {
          text: 'INSERT INTO item (account_id, id, amount) VALUES ($1, $2, 1)',
          values: [ACCOUNT, id],
        });
        await tx.commit();
      } finally {
        await tx.rollback();
      }
    } finally {
      cancel();
    }
  }

  /** A strong read at a node, whoever leads; rejects as the node refuses it. */
  async strongRead(node: string, signal: AbortSignal, groupEpoch: number): Promise<number> {
    const target = this.target('strong-read', node);
    if (target === undefined) throw new Error('no route');
    const access = { kind: 'strong-read', groupEpoch } as const;
    const tx = await this.#connector.begin({ ...target, access }, { signal });
    try {
      const { rows } = await tx.query(0, { text: 'SELECT count(*) AS n FROM item', values: [] });
      return Number((rows[0] as { n: string }).n);
    } finally {
      await tx.rollback();
    }
  }

  /** How many rows of the account a replica shows, as it is; rejects as it refuses. */
  async readAt(replica: string): Promise<number> {
    const target = this.target('strong-read', replica);
    if (target === undefined) throw new Error('no route');
    const { groupEpoch } = target.access;
    const access: Access = {
      kind: 'replica-read',
      ...{ groupEpoch, waitMs: 0, patienceMs: 5_000 },
      ...{ maxStalenessMs: undefined, atLeast: undefined },
    };
    const signal = AbortSignal.timeout(10_000);
    const tx = await this.#connector.begin({ ...target, access }, { signal });
    try {
      const { rows } = await tx.query(0, { text: 'SELECT count(*) AS n FROM item', values: [] });
      return Number((rows[0] as { n: string }).n);
    } finally {
      await tx.rollback();
    }
  }

  /** Resolves when one is acknowledged from now on; with how long that took. */
  async nextAck(timeoutMs = 20_000): Promise<number> {
    const since = performance.now();
    await this.#rig.until('an acknowledged write', () => this.lastAckAtMs > since, timeoutMs);
    return this.lastAckAtMs - since;
  }

  /** Acknowledged, and not on this node. */
  async missing(node: string): Promise<number[]> {
    // Before the look: others are acknowledged meanwhile.
    const acked = [...this.acked];
    const rows = await this.#rig.sql<{ id: string }>(node, `SELECT id FROM ${this.range}.item`);
    const there = new Set(rows.map(({ id }) => Number(id)));
    return acked.filter((id) => !there.has(id));
  }

  /**
   * Row counts and sums of every node, once each has replayed what the leader has. What a writer that was
   * stopped had sent may still be committed, and a replica may be cloned once more, so copies that
   * differ or do not answer are looked at again for a while.
   */
  async copies(): Promise<string[]> {
    const deadline = performance.now() + COPIES_TIMEOUT_MS;
    for (;;) {
      const late = performance.now() > deadline;
      try {
        const found = await this.#look();
        if (late || new Set(found).size === 1) return found;
      } catch (error) {
        if (late) throw error;
      }
      await systemClock.sleep(100);
    }
  }

  async #look(): Promise<string[]> {
    const leader = this.#rig.leader() ?? '';
    const [end] = await this.#rig.sql<{ at: string }>(
      leader,
      'SELECT pg_current_wal_lsn()::text AS at',
    );
    const sum = `SELECT count(*) || ':' || coalesce(sum(id), 0) AS sum FROM ${this.range}.item`;
    return Promise.all(
      this.#rig.nodes.map(async ({ name }) => {
        if (name !== leader) {
          await this.#rig.until(`${name} to catch up`, async () => {
            const [row] = await this.#rig.sql<{ ok: boolean }>(
              name,
              `SELECT pg_last_wal_replay_lsn() >= '${end?.at ?? ''}'::pg_lsn AS ok`,
            );
            return row?.ok === true;
          });
        }
        const [row] = await this.#rig.sql<{ sum: string }>(name, sum);
        return row?.sum ?? '';
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#connector[Symbol.asyncDispose]();
  }
}
