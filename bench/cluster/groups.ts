/** Waits for replication groups to be what they should be: open, and whole. Bounded. */
import type { StatusReport } from '../../src/control/status.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { RoutedGroup } from '../../src/topology/routing.ts';
import type { VerifyCluster } from '../../src/verify/cluster.ts';
import { isWhole, missing } from '../../src/verify/settle.ts';

/** A group that does not recover is as bad as one that forgets. */
export class NotRecovered extends Error {}

const OPEN_TIMEOUT_MS = 60_000;
const WHOLE_TIMEOUT_MS = 90_000;
const LOOK_INTERVAL_MS = 500;

export class Groups {
  readonly #cluster: VerifyCluster;
  #next: Promise<StatusReport> | undefined;

  constructor(cluster: VerifyCluster) {
    this.#cluster = cluster;
  }

  get names(): readonly string[] {
    return Object.keys(this.#cluster.observer.control.view.groups).toSorted();
  }

  seen(name: string): RoutedGroup {
    const group = this.#cluster.observer.control.view.groups[name];
    if (group === undefined) throw new Error(`there is no group ${name}`);
    return group;
  }

  /** Resolves when it has a leader, at a later epoch than this. Rejects with NotRecovered. */
  async open(name: string, epoch = 0): Promise<RoutedGroup & { readonly leader: string }> {
    const { control } = this.#cluster.observer;
    const patience = AbortSignal.timeout(OPEN_TIMEOUT_MS);
    for (;;) {
      const { version } = control.view;
      const group = this.seen(name);
      const { leader } = group;
      if (leader !== undefined && group.epoch > epoch) return { ...group, leader };
      try {
        await control.newerThan(version, patience);
      } catch (error) {
        if (patience.aborted) throw await this.#notRecovered(name, 'it is not open');
        throw error;
      }
    }
  }

  /** Open, and every copy streams. Rejects with NotRecovered. */
  async whole(name: string): Promise<void> {
    const endMs = performance.now() + WHOLE_TIMEOUT_MS;
    while (!isWhole(await this.#look(), [name])) {
      if (performance.now() > endMs) throw await this.#notRecovered(name, 'it is not whole');
    }
  }

  /** As it is after the call. A look at every server costs: all who wait share one. */
  #look(): Promise<StatusReport> {
    this.#next ??= systemClock.sleep(LOOK_INTERVAL_MS).then(() => {
      this.#next = undefined;
      return this.#cluster.platform.status();
    });
    return this.#next;
  }

  async #notRecovered(name: string, what: string): Promise<NotRecovered> {
    const status = await this.#look();
    const left = missing(status, [name]).join(', ') || 'nothing is missing';
    const doing = status.groups.find((group) => group.name === name)?.operation ?? null;
    return new NotRecovered(`${name}: ${what}: ${left}; ${JSON.stringify(doing)}`);
  }
}
