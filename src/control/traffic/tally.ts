/**
 * How often accounts were accessed from here, in bounded memory and without a word to anybody: who comes most
 * is counted exactly or a little too much, who comes seldom may be forgotten (kernel/heavy-hitters.ts). What
 * was counted is told now and then (reporter.ts), and counted anew.
 */
import { HeavyHitters } from '../../kernel/heavy-hitters.ts';
import { REPORT_ACCOUNTS_MAX, type TrafficReport } from './report.ts';

export class TrafficTally {
  readonly #accounts = new HeavyHitters(REPORT_ACCOUNTS_MAX);

  /** An access that pays for the distance to the account's home. */
  count(account: string): void {
    this.#accounts.count(account);
  }

  /** Since the last time; of each what it certainly was, at least. */
  take(): TrafficReport['accounts'] {
    const counted = this.#accounts.list();
    this.#accounts.clear();
    return counted.map(({ key, count, overcount }) => [key, count - overcount]);
  }
}
