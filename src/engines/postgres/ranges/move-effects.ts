/**
 * What each phase of a move does (move-machine.ts). Each is begun anew after a crash or failure, so each
 * looks first; failures are thrown, and the runner takes them to the table.
 */
import { MeridianError } from '../../../kernel/errors.ts';
import { confirmedByQuorum } from '../quorum.ts';
import { keepDepartures } from './departures.ts';
import { differences, holdComparison, letGoOfComparison, sumsOf } from './comparison.ts';
import type { MoveEvent, MovePhase } from './move-machine.ts';
import { checkAttempt, checkOpen, epochsOf, sourceOf, targetOf, type Moving } from './moving.ts';
import {
  checkMovable,
  closeRange,
  onSource,
  publish,
  removeFromSource,
  reopenRange,
  slotPrefix,
  sourceState,
  withdraw,
  writeMarker,
} from './source.ts';
import {
  awaitCopied,
  awaitMarker,
  checkArrived,
  claimFromTarget,
  openRange,
  prepareTarget,
  removeFromTarget,
  subscribe,
  unsubscribe,
} from './target.ts';

/** So close behind, the target makes the pause no longer than the way between the groups does. */
const CLOSE_BEHIND_MS = 500;
const CATCH_UP_MS = 600_000;
/** After the closing nobody can write: what is left is on its way. */
const LAST_MARKER_MS = 5_000;

/** Clients dial whoever will lead the range before they need it, or need not any more. */
function announce({ cluster, ranges, range }: Moving, goingTo: string | undefined): void {
  const told = ranges.get(range);
  if (told === undefined || (goingTo === undefined && told.goingTo === undefined)) return;
  ranges.set(range, { ...told, goingTo });
  cluster.services.onRoutes();
}

type Effect = (moving: Moving) => Promise<MoveEvent>;

export const MOVE_EFFECTS: Readonly<Record<Exclude<MovePhase, 'ended'>, Effect>> = {
  settling: async (moving) => {
    letGoOfComparison(moving);
    const state = await sourceState(moving);
    if (state === 'open') return 'source-owns';
    if ((await claimFromTarget(moving)) === 'open') return 'target-owns';
    if (state === 'closed') return 'source-owns';
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `neither ${moving.from} nor ${moving.to} has ${moving.range}: a recovery by force has lost it`,
    );
  },

  clearing: async (moving) => {
    letGoOfComparison(moving);
    announce(moving, undefined);
    // First what somebody may be waiting for.
    await reopenRange(moving);
    await removeFromTarget(moving);
    return 'done';
  },

  preparing: async (moving) => {
    checkOpen(moving);
    await onSource(moving, (client) => checkMovable(client, moving.range));
    moving.epochs = epochsOf(moving);
    moving.targetGroupEpoch = targetOf(moving).epoch;
    await prepareTarget(moving);
    return 'done';
  },

  copying: async (moving) => {
    checkAttempt(moving);
    const { cluster, range } = moving;
    moving.attemptName = `${slotPrefix(range)}${String(cluster.services.random.below(2 ** 31))}`;
    await onSource(moving, (client) => publish(client, range));
    announce(moving, moving.to);
    await subscribe(moving);
    await awaitCopied(moving);
    return 'done';
  },

  'catching-up': async (moving) => {
    const { cluster } = moving;
    const { clock } = cluster.services;
    // Once more: since the copy was begun, idle connections may have ended.
    announce(moving, moving.to);
    await keepDepartures(moving);
    const endsAtMs = clock.monotonicMs() + CATCH_UP_MS;
    for (let count = 1; ; count += 1) {
      checkAttempt(moving);
      const marker = `${moving.attemptName} ${String(count)}`;
      const sentAtMs = clock.monotonicMs();
      await writeMarker(moving, marker);
      await awaitMarker(moving, marker, Math.max(0, endsAtMs - sentAtMs));
      // What is copied is not confirmed row by row: the target's followers may be far behind it, and the
      // commit that opens the range would wait for them, and everybody with it.
      const confirmed = await confirmedByQuorum(cluster, targetOf(moving)).then(
        () => true,
        () => false,
      );
      if (confirmed && clock.monotonicMs() - sentAtMs <= CLOSE_BEHIND_MS) break;
    }
    await checkArrived(moving);
    return 'done';
  },

  closing: async (moving) => {
    checkAttempt(moving);
    const closed = await closeRange(moving, `${moving.attemptName} last`);
    moving.sequences = closed.sequences;
    moving.origins = closed.origins;
    return 'done';
  },

  'handing-over': async (moving) => {
    await awaitMarker(moving, `${moving.attemptName} last`, LAST_MARKER_MS);
    await holdComparison(moving);
    checkAttempt(moving);
    await openRange(moving);
    return 'done';
  },

  routing: async (moving) => {
    const { cluster, ranges, range, to } = moving;
    await cluster.register.rangeMoved(range, to);
    const { rangeEpoch: epoch, origins } = moving;
    ranges.set(range, { group: to, epoch, origins, made: ranges.get(range)?.made });
    cluster.services.onRoutes();
    return 'done';
  },

  verifying: async (moving) => {
    const { comparison, range, cluster } = moving;
    const { clock, log } = cluster.services;
    if (comparison === undefined) {
      // The supervisor, or a server, has ended in between: what was seen then cannot be seen any more.
      log.warn('a moved range was not compared with its source', { range });
      return 'done';
    }
    const differ = await sumsOf(clock, comparison.source, range)
      .then(async (source) => differences(source, await sumsOf(clock, comparison.target, range)))
      .catch((error: unknown) => {
        log.warn('a moved range was not compared with its source', { range, error });
        return [];
      });
    letGoOfComparison(moving);
    if (differ.length === 0) return 'done';
    moving.failure = new MeridianError(
      'ERR_RANGE_DIFFERS',
      `${range} has arrived in ${moving.to} with other rows than it had in ${moving.from}: ${differ.join(', ')}`,
      {
        remedy: `Compare schema ${range} on ${sourceOf(moving).leader}, which is kept there as it was, with that on ${targetOf(moving).leader}, which serves.`,
      },
    );
    return 'differs';
  },

  keeping: async (moving) => {
    checkOpen(moving);
    await unsubscribe(moving);
    await withdraw(moving);
    return 'done';
  },

  cleaning: async (moving) => {
    checkOpen(moving);
    await unsubscribe(moving);
    await removeFromSource(moving);
    return 'done';
  },
};
