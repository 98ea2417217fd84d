/** What a process knows of the platform: the feed's latest picture. Implemented by feed-client.ts. */
import type { RoutingView } from '../topology/routing.ts';
import type { FeedHello } from './protocol.ts';

export interface ControlSubscription extends AsyncDisposable {
  readonly hello: FeedHello;
  /**
   * The newest view received. Its version only ever rises, also across restarts of the supervisor: the
   * subscription renumbers where it must.
   */
  readonly view: RoutingView;
  /** Called after each newer view; returns the unsubscriber. */
  onView(listener: (view: RoutingView) => void): () => void;
  /** Resolves with the first view newer than `version`, or rejects when the signal aborts. */
  newerThan(version: number, signal: AbortSignal): Promise<RoutingView>;
  /** Counts towards the next ActivityReport; batched, at most one request a second, never throws. */
  countBoundedRead(): void;
}
