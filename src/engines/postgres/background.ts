/**
 * What goes on by itself while the engine runs, beside the groups' machines and the nodes' keepers: beats,
 * the sweep for transactions in doubt, and the copies of the global tables.
 */
import type { Cluster } from './cluster.ts';
import { startGlobalsKeeper, type GlobalsKeeper } from './globals-keeper.ts';
import { startHeartbeats, type Heartbeats } from './heartbeat.ts';
import { startInDoubtSweep, type InDoubtSweep } from './in-doubt.ts';
import type { LeaderSessions } from './leader-session.ts';

export class Background {
  readonly #cluster: Cluster;
  readonly #sessions: LeaderSessions;
  #heartbeats: Heartbeats | undefined;
  #inDoubt: InDoubtSweep | undefined;
  #globals: GlobalsKeeper | undefined;

  constructor(cluster: Cluster, sessions: LeaderSessions) {
    this.#cluster = cluster;
    this.#sessions = sessions;
  }

  /** Idempotent. */
  start(primaryGroup: string): void {
    this.#heartbeats ??= startHeartbeats(this.#cluster, this.#sessions);
    this.#inDoubt ??= startInDoubtSweep(this.#cluster, this.#sessions);
    this.#globals ??= startGlobalsKeeper(this.#cluster, primaryGroup);
  }

  noteActivity(): void {
    this.#heartbeats?.noteActivity();
  }

  /** Statements under way end with the sessions that they are on. */
  async stop(): Promise<void> {
    const running = [this.#heartbeats, this.#inDoubt, this.#globals];
    const ending = running.filter((one) => one !== undefined).map((one) => one.stop());
    this.#sessions.close();
    await Promise.all(ending);
  }
}
