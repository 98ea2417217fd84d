/**
 * Which of two views is the newer one. Pure.
 *
 * Versions start over when the supervisor does, so a view is ordered by (supervisor start, version).
 * Its readers compare versions only: a later supervisor's views are renumbered to go on from the last
 * one shown, so that the version a process sees never goes back.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { RoutingView } from '../topology/routing.ts';
import type { FeedHello } from './protocol.ts';

export interface ShownView {
  readonly view: RoutingView;
  readonly supervisorStart: number;
  /** Added to the versions of this supervisor's views. */
  readonly offset: number;
}

/** The view to show instead, or undefined when what is shown is as new. */
export function newerView(
  shown: ShownView | undefined,
  hello: FeedHello,
  received: RoutingView,
): ShownView | undefined {
  const { supervisorStart } = hello;
  if (shown === undefined) return { view: received, supervisorStart, offset: 0 };
  let { offset } = shown;
  if (supervisorStart !== shown.supervisorStart) {
    if (supervisorStart < shown.supervisorStart) return undefined;
    offset = Math.max(0, shown.view.version + 1 - received.version);
  }
  const version = received.version + offset;
  if (version <= shown.view.version) return undefined;
  const view = offset === 0 ? received : { ...received, version };
  return { view, supervisorStart, offset };
}

/** Throws when this hello cannot be of the platform that was joined, or is of a past supervisor. */
export function checkSuccessor(known: FeedHello | undefined, next: FeedHello): void {
  if (known === undefined) return;
  if (known.installation !== next.installation) {
    throw new MeridianError(
      'ERR_CONTROL_UNAVAILABLE',
      'another installation answers at the control address',
      { remedy: 'Restart this process, so that it joins the installation that runs now.' },
    );
  }
  if (next.supervisorStart < known.supervisorStart) {
    throw new MeridianError('ERR_CONTROL_UNAVAILABLE', 'a past supervisor answered');
  }
}
