/**
 * Account → range. Looked up in the nearest copy of the directory; a miss there asks the primary
 * before it is a "not found", since the copy may lag behind a new account. Found entries are kept,
 * bounded; an entry that has become wrong is found out by the database's epoch check and refreshed.
 */
import { LRUCache } from 'lru-cache';
import { MeridianError } from '../kernel/errors.ts';
import { orAborted } from '../kernel/signal.ts';
import type { AccountHome, AccountId, RoutingView } from '../topology/routing.ts';
import { groupOf, leaderOf, nearestOf, patienceMs } from './choose-node.ts';
import { runAttempts } from './attempts.ts';
import type { AttemptServices } from './work.ts';

const ID_LENGTH_MAX = 128;
/** At a time; the others are fetched when they are used again. */
const REFRESHES_MAX = 64;
const UNROUTED_WAIT_MS = 20;
const UNROUTED_WAIT_MAX_MS = 250;
const LOOKING_UP = 'an account was looked up';
const LOOKUP = 'SELECT range FROM meridian.account WHERE id = $1';

export interface LocateOptions {
  /** Ask the primary, past the cache and the local copy. */
  readonly fresh?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export class Directory {
  readonly #services: AttemptServices;
  /** With the version of the directory (RoutingView) that each was looked up at, or asked about again. */
  readonly #ranges: LRUCache<AccountId, { readonly range: string; readonly version: number }>;
  readonly #lookups = new Map<AccountId, Promise<string | undefined>>();

  constructor(services: AttemptServices) {
    this.#services = services;
    this.#ranges = new LRUCache({ max: services.limits.directoryEntriesMax });
  }

  async locate(id: AccountId, options: LocateOptions = {}): Promise<AccountHome> {
    checkAccountId(id);
    const known =
      options.fresh === true
        ? undefined
        : (this.#routed(this.#cached(id)) ?? this.#routed(await this.#nearby(id, options)));
    const range = known ?? (await this.#askPrimary(id, options));
    if (range === undefined) {
      this.#ranges.delete(id);
      throw new MeridianError('ERR_ACCOUNT_NOT_FOUND', 'there is no such account');
    }
    this.remember(id, range);
    return homeOf(this.#services.control.view, id, range);
  }

  /**
   * Its answer may name a range that goes just now, or one that this process has not heard of yet: either way
   * the next one is right. After the last try the caller is told that no route is known.
   */
  async #askPrimary(id: AccountId, options: LocateOptions): Promise<string | undefined> {
    const { clock, limits } = this.#services;
    const endsAtMs = clock.monotonicMs() + (options.timeoutMs ?? limits.timeoutMs);
    for (let attempt = 1; ; attempt += 1) {
      const range = await this.#ask(id, 'primary', options);
      const waitMs = Math.min(UNROUTED_WAIT_MS * attempt, UNROUTED_WAIT_MAX_MS);
      const routed = range === undefined || this.#routed(range) !== undefined;
      if (routed || clock.monotonicMs() + waitMs >= endsAtMs) return range;
      await clock.sleep(waitMs, options.signal);
    }
  }

  get #version(): number {
    return this.#services.control.view.directory ?? 0;
  }

  /**
   * An old answer is used while a newer one is fetched: it is right nearly always, and the database refuses it
   * where it is not. So a gateway learns where an account lives now without anybody waiting.
   */
  #cached(id: AccountId): string | undefined {
    const known = this.#ranges.get(id);
    if (known === undefined) return undefined;
    if (known.version < this.#version && this.#lookups.size < REFRESHES_MAX) {
      this.remember(id, known.range);
      this.#nearby(id, {}).then(
        (range) => {
          // Unless somebody has learnt more meanwhile.
          if (range !== undefined && this.#ranges.peek(id)?.range === known.range) {
            this.remember(id, range);
          }
        },
        () => {},
      );
    }
    return known.range;
  }

  /** A range that no route leads to is one that is gone: the answer is old. */
  #routed(range: string | undefined): string | undefined {
    const { ranges } = this.#services.control.view;
    return range !== undefined && Object.hasOwn(ranges, range) ? range : undefined;
  }

  remember(id: AccountId, range: string): void {
    this.#ranges.set(id, { range, version: this.#version });
  }

  /** One lookup per account at a time, however many callers wait for it. */
  #nearby(id: AccountId, options: LocateOptions): Promise<string | undefined> {
    const running = this.#lookups.get(id);
    if (running !== undefined) return orAborted(running, options.signal, LOOKING_UP);
    // Shared by callers with limits of their own: none of them may end it for the others, and each
    // stops waiting at its own.
    const lookup = this.#ask(id, 'nearest', {}).finally(() => {
      this.#lookups.delete(id);
    });
    // All who waited may have given up by the time it fails.
    lookup.catch(() => {});
    this.#lookups.set(id, lookup);
    return orAborted(lookup, options.signal, LOOKING_UP);
  }

  async #ask(
    id: AccountId,
    where: 'nearest' | 'primary',
    options: LocateOptions,
  ): Promise<string | undefined> {
    const found = await runAttempts(this.#services, {
      timeoutMs: options.timeoutMs,
      retriesMax: undefined,
      signal: options.signal,
      route: async (view, { leader }) => {
        const group = groupOf(view, view.primaryGroup);
        const scopes = [{ range: undefined, account: undefined }];
        const shared = { group: group.name, scopes };
        if (where === 'primary' || (leader && group.leader !== undefined)) {
          const access = { kind: 'strong-read', groupEpoch: group.epoch } as const;
          return { ...shared, node: leaderOf(group), access };
        }
        const node = nearestOf(group, this.#services.avoided.has);
        return {
          ...shared,
          node,
          access: {
            kind: 'replica-read',
            groupEpoch: group.epoch,
            maxStalenessMs: undefined,
            atLeast: undefined,
            waitMs: 0,
            patienceMs: patienceMs(node),
          },
        };
      },
      run: async ([tx]) => (await tx?.query<{ range: string }>(LOOKUP, [id]))?.rows[0]?.range,
    });
    return found.value;
  }
}

/** Throws ERR_ACCOUNT_INVALID: ids travel in paths and headers, so they are short and printable. */
export function checkAccountId(id: AccountId): void {
  if (
    typeof id !== 'string' ||
    id.length < 1 ||
    id.length > ID_LENGTH_MAX ||
    !/^[\x21-\x7e]+$/.test(id)
  ) {
    throw new MeridianError(
      'ERR_ACCOUNT_INVALID',
      `an account id is 1 to ${String(ID_LENGTH_MAX)} printable ASCII characters without spaces`,
    );
  }
}

/** Throws ERR_ENGINE_NO_NODE when the view does not know the range (yet). */
export function homeOf(view: RoutingView, account: AccountId, range: string): AccountHome {
  const routed = view.ranges[range];
  const group = routed === undefined ? undefined : view.groups[routed.group];
  if (routed === undefined || group === undefined) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `no route to range ${range} is known`);
  }
  return { account, range, group: group.name, homeRegion: group.homeRegion };
}
