/**
 * How the gateway asks where an account lives. The client library implements it (and caches); the
 * gateway only needs the answer, so it depends on this one question.
 */
import type { AccountHome, AccountId } from '../topology/routing.ts';

export interface AccountLocator {
  /**
   * Throws ERR_ACCOUNT_NOT_FOUND for an account that does not exist. `fresh` skips every cache: ask
   * for it after a route was refused as stale. Waits for a leader that is missing, within `timeoutMs`.
   */
  locate(
    account: AccountId,
    options?: {
      readonly fresh?: boolean;
      readonly signal?: AbortSignal;
      readonly timeoutMs?: number;
    },
  ): Promise<AccountHome>;
}
