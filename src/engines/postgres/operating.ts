/**
 * Steps on the leadership of a group and on its replicas. The group's machine and the nodes' keepers do
 * the work, whoever asks and also when nobody does; a step rings, and waits for what comes of it.
 */
import { waitUntil } from '../../kernel/clock.ts';
import { MeridianError } from '../../kernel/errors.ts';
import { firstOf } from '../../kernel/signal.ts';
import type { PerformOptions, StepOutcome } from '../engine.ts';
import { keep } from './arbiter/keeper.ts';
import { Leadership } from './arbiter/leadership.ts';
import type { Cluster } from './cluster.ts';
import { readMarker } from './initialise.ts';
import type { LeaderSessions } from './leader-session.ts';
import { awaitStreaming } from './opening.ts';
import { stopStray } from './stray-server.ts';

interface Operating {
  readonly cluster: Cluster;
  readonly sessions: LeaderSessions;
  readonly options: PerformOptions;
}

type Done = StepOutcome['kind'];

const REBUILD_TIMEOUT_MS = 3_600_000;
const LOOK_MS = 100;

/** Resolves when the group is open and every follower that runs streams. */
export async function openLeadership(on: Operating, name: string): Promise<Done> {
  const { cluster, sessions } = on;
  const group = cluster.group(name);
  if (group.open) return 'already-done';
  // What a killed supervisor left running of those that are not started again.
  await Promise.all([...group.excluded].map((node) => stopStray(cluster.server, node)));
  group.leadership ??= new Leadership({ cluster, sessions }, group);
  await group.leadership.start();
  const { startTimeoutMs } = cluster.server.options;
  const wait = { timeoutMs: startTimeoutMs, signal: cluster.stopSignal };
  await waitUntil(cluster.services.clock, { what: `${name} to be open`, ...wait }, () =>
    group.open ? true : undefined,
  );
  await awaitStreaming(cluster, name);
  return 'done';
}

export async function switchOver(
  on: Operating,
  to: { readonly group: string; readonly to: string },
): Promise<Done> {
  const group = on.cluster.group(to.group);
  if (group.leader === to.to && group.open) return 'already-done';
  if (group.leadership === undefined) {
    throw new MeridianError('ERR_OPERATION_REFUSED', `${to.group} has not been opened yet`);
  }
  await group.leadership.switchTo(to.to, on.options.onPhase ?? (() => {}));
  return 'done';
}

/** Resolves when the copy is whole, runs and streams. */
export async function rebuildNode(
  on: Operating,
  of: { readonly node: string; readonly anyway?: boolean },
): Promise<Done> {
  const { cluster, options } = on;
  const node = cluster.node(of.node);
  const { clock } = cluster.services;
  if (of.anyway === true) node.rebuildAsked = true;
  keep(cluster, of.node);
  node.bell.ring();
  let phase = '';
  const isWell = async (): Promise<boolean> => {
    const { excluded } = cluster.group(node.spec.group);
    const pending = node.rebuildAsked || excluded.has(of.node) || node.repair !== undefined;
    if (pending || !cluster.runs(of.node)) return false;
    return (await readMarker(cluster.server.storage, of.node)) !== undefined;
  };
  using either = firstOf(cluster.stopSignal, options.signal);
  await waitUntil(
    clock,
    {
      what: `${of.node} to be cloned`,
      timeoutMs: REBUILD_TIMEOUT_MS,
      intervalMs: LOOK_MS,
      signal: either.signal,
    },
    async () => {
      const { repair } = node;
      if (repair !== undefined && repair.phase !== phase) options.onPhase?.(repair.phase);
      phase = repair?.phase ?? phase;
      if (repair?.phase === 'copying') options.onProgress?.(repair);
      return (await isWell()) ? true : undefined;
    },
  );
  return 'done';
}

/** A person has accepted what may be lost. */
export async function recoverGroup(on: Operating, name: string): Promise<Done> {
  const { cluster } = on;
  const group = cluster.group(name);
  if (group.open) return 'already-done';
  if (group.leadership === undefined) {
    throw new MeridianError('ERR_OPERATION_REFUSED', `${name} has not been opened yet`);
  }
  await group.leadership.recover();
  const wait = { timeoutMs: cluster.server.options.startTimeoutMs, signal: cluster.stopSignal };
  await waitUntil(cluster.services.clock, { what: `${name} to be open`, ...wait }, () =>
    group.open ? true : undefined,
  );
  return 'done';
}
