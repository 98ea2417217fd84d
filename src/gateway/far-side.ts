/**
 * Is an app server of another region still to be reached? A cut between regions closes nothing: a
 * request over a standing connection would wait for its answer until its deadline. An app server that
 * works, or waits for a leader itself, is silent too; so when a request has had no answer for a while,
 * the server's health check is asked over a connection of its own, and only who misses that twice is
 * given up. One question at a time for each server, however many requests wait for it.
 */
import { request } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import type { RegionName } from '../topology/region.ts';
import type { RoutedAppServer } from '../topology/routing.ts';

export interface FarSideOptions {
  readonly clock: Clock;
  /** The gateway's own. */
  readonly region: RegionName;
  readonly healthPath: string | undefined;
}

/** Silence that is worth a question. */
const SILENT_AFTER_MS = 1_000;
const ANSWER_WITHIN_MIN_MS = 1_000;
const ANSWER_WITHIN_ROUND_TRIPS = 4;
const MISSES = 2;

const ignore = (): void => {};

export class FarSide {
  readonly #options: FarSideOptions;
  readonly #asking = new Map<string, Promise<boolean>>();

  constructor(options: FarSideOptions) {
    this.#options = options;
  }

  /**
   * Calls `lost` once the server turns out not to be reached. Returns the end of the watch, to be called
   * when its answer begins. The own region's servers are watched by the app host.
   */
  watch(server: RoutedAppServer, lost: (reason: Error) => void): () => void {
    if (server.locality.region === this.#options.region) return ignore;
    let over = false;
    let cancel = ignore;
    const wait = (): void => {
      cancel = this.#options.clock.schedule(SILENT_AFTER_MS, () => {
        void this.#reachable(server).then((reachable) => {
          if (over) return;
          if (reachable) wait();
          else lost(new Error(`${server.name} can't be reached: its health checks go unanswered`));
        });
      });
    };
    wait();
    return () => {
      over = true;
      cancel();
    };
  }

  #reachable(server: RoutedAppServer): Promise<boolean> {
    const { instance } = server;
    const known = this.#asking.get(instance);
    if (known !== undefined) return known;
    const asked = this.#askRepeatedly(server).finally(() => {
      this.#asking.delete(instance);
    });
    this.#asking.set(instance, asked);
    return asked;
  }

  async #askRepeatedly(server: RoutedAppServer): Promise<boolean> {
    for (let misses = 0; misses < MISSES; misses += 1) {
      if (await this.#ask(server)) return true;
    }
    return false;
  }

  /** Any answer will do: the question is whether there is a way, not how the server feels. */
  #ask({ address, roundTripMs }: RoutedAppServer): Promise<boolean> {
    const { clock, healthPath = '/' } = this.#options;
    const withinMs = Math.max(ANSWER_WITHIN_MIN_MS, ANSWER_WITHIN_ROUND_TRIPS * roundTripMs);
    return new Promise((resolve) => {
      const asked = request({ ...address, path: healthPath, agent: false });
      const cancel = clock.schedule(withinMs, () => {
        asked.destroy(new Error('no answer in time'));
      });
      const end = (reachable: boolean): void => {
        cancel();
        resolve(reachable);
      };
      asked.on('response', (response) => {
        response.destroy();
        end(true);
      });
      asked.on('error', () => {
        end(false);
      });
      asked.end();
    });
  }
}
