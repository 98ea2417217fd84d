/** What a call hands to the loop of attempts (attempts.ts), and what all calls of one client share. */
import type { ControlSubscription } from '../control/subscription.ts';
import type { TrafficTally } from '../control/traffic/tally.ts';
import type { Connector, SessionTarget, StatementLimits } from '../engines/connector.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Random } from '../kernel/random.ts';
import type { AccountId, RangeName, RoutingView } from '../topology/routing.ts';
import type { Avoided } from './avoided.ts';
import type { Counters } from './counters.ts';
import type { CrossGroupServices } from './cross-group.ts';
import type { Deadline } from './deadline.ts';
import type { Handle } from './handle.ts';
import type { Keyed } from './idempotency.ts';
import type { KeysInFlight } from './keys-in-flight.ts';
import type { ClientLimits } from './options.ts';

export interface AttemptServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly connector: Connector;
  readonly control: ControlSubscription;
  readonly limits: ClientLimits;
  readonly counters: Counters;
  readonly keysInFlight: KeysInFlight;
  /** Nodes that did not answer a read a moment ago. */
  readonly avoided: Avoided;
  /** Where accesses are counted that pay for the distance; undefined: somebody else counts them. */
  readonly tally?: Pick<TrafficTally, 'count'> | undefined;
  /** Undefined: the engine cannot. */
  readonly crossGroup?: CrossGroupServices | undefined;
}

/** A transaction in several groups. */
export interface CrossGroupRoute {
  /** One a group, in the order of the accounts. */
  readonly targets: readonly SessionTarget[];
  /** Of each handle: its target, and which of the target's scopes. */
  readonly places: readonly { readonly target: number; readonly scope: number }[];
}

/** What earlier attempts of the call have shown. */
export interface Hints {
  /** Routes were stale, and the view says nothing newer: the directory may be wrong. */
  readonly fresh: boolean;
  /** A replica could not serve it. */
  readonly leader: boolean;
  /** Accounts that were refused because they are in another range now, and in which; taken out once used. */
  readonly departed: Map<AccountId, RangeName>;
  readonly deadline: Deadline;
}

export interface Work<T> {
  /** Where this attempt goes. */
  route(view: RoutingView, hints: Hints): Promise<SessionTarget | CrossGroupRoute>;
  run(handles: readonly Handle[]): Promise<T>;
  /** False: a failure is final, whatever it is; default: true. */
  readonly mayRunAgain?: (() => boolean) | undefined;
  readonly statementLimits?: StatementLimits;
  readonly timeoutMs: number | undefined;
  readonly retriesMax: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly keyed?: Keyed | undefined;
}
