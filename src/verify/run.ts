/**
 * A verification from its begin to its end: start a cluster, load it, strike it, heal it, wait until it
 * has recovered, read what is there, and judge the history. Whatever happens, everything that was
 * started is stopped.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { firstOf } from '../kernel/signal.ts';
import type { StartPlatform } from '../platform-api.ts';
import { openAccounts } from './accounts.ts';
import { startCluster, type VerifyCluster } from './cluster.ts';
import { readFinalState } from './final-state.ts';
import type { History } from './history.ts';
import { stageOn } from './nemesis/stage.ts';
import { describePlan, planFaults, type PlannedMove } from './nemesis/plan.ts';
import { BRISK, playPlan, type Played } from './nemesis/run.ts';
import type { Geography, VerifyOptions } from './options.ts';
import { Recorder } from './recorder.ts';
import { streamOf } from './seed.ts';
import { serversOf, type Servers } from './servers.ts';
import { settle } from './settle.ts';
import { runLoad } from './workloads/load.ts';
import { lastLook, pinnedOf, watchStrays, type Pinned } from './strays.ts';
import { watchTenures } from './tenures.ts';
import { WORKLOADS } from './workloads/registry.ts';
import type { Account, LoadClient } from './workloads/workload.ts';
import type { Stage } from './nemesis/stage.ts';

export interface RunServices {
  readonly startPlatform: StartPlatform;
  readonly geography: Geography;
  readonly clock: Clock;
  readonly log: Log;
  readonly folder: string;
  readonly onProgress: (line: string) => void;
  /** Called with what ends every process at once. */
  readonly onRunning: (kill: () => void) => void;
  readonly signal: AbortSignal;
}

/** All that a report is made of. */
export interface Ran {
  readonly history: History;
  readonly groups: ReadonlyMap<string, string>;
  readonly load: { readonly fromMs: number; readonly untilMs: number };
  readonly capped: boolean;
  readonly planned: readonly PlannedMove[];
  readonly played: Played;
  readonly unrecovered: readonly string[];
  /** False: the last state could not be read, so that no checker can judge. */
  readonly complete: boolean;
}

const NOTHING: History['final'] = {
  ...{ rows: {}, registers: {}, lists: {}, balances: {}, transfers: {}, copies: [], homes: [] },
};

interface Running {
  readonly options: VerifyOptions;
  readonly services: RunServices;
  readonly cluster: VerifyCluster;
  readonly servers: Servers;
  readonly recorder: Recorder;
  readonly accounts: Readonly<Record<string, readonly Account[]>>;
  readonly pinned: Pinned | undefined;
  readonly signal: AbortSignal;
}

/** The load goes on for a moment after everything was healed. */
const AFTERWARDS_MS = 1_500;
const PROGRESS_MS = 5_000;

/** Rejects with ERR_ABORTED when it is interrupted, and with what the platform failed with. */
export async function runVerification(options: VerifyOptions, services: RunServices): Promise<Ran> {
  const { clock, signal, onProgress } = services;
  onProgress('starting a cluster of its own');
  await using cluster = await startCluster({ options, ...services });
  services.onRunning(() => {
    cluster.platform.kill();
  });
  const broken = new AbortController();
  void cluster.platform.failed.then((error) => {
    broken.abort(error);
  });
  using either = firstOf(signal, broken.signal);
  // Every client sleeps on it.
  setMaxListeners(0, either.signal);
  try {
    const servers = await serversOf(cluster.platform, cluster.config.dataDirectory);
    const accounts = await openAll(cluster, options);
    const { view } = cluster.observer.control;
    const [residency] = cluster.config.residencies;
    const pinned = pinnedOf(view, Object.values(accounts).flat(), residency);
    const recorder = new Recorder(clock);
    return await verifyOn({
      ...{ options, services, cluster, servers, recorder, accounts, pinned },
      signal: either.signal,
    });
  } catch (error) {
    if (broken.signal.aborted) throw broken.signal.reason as Error;
    throw error;
  }
}

async function openAll(
  cluster: VerifyCluster,
  { faults }: Pick<VerifyOptions, 'faults'>,
): Promise<Record<string, readonly Account[]>> {
  const regions = cluster.config.regions.map(({ name }) => name);
  const accounts: Record<string, readonly Account[]> = {};
  for (const workload of WORKLOADS) {
    accounts[workload.name] = await openAccounts(cluster.observer, workload, {
      regions,
      together: faults.includes('move'),
      residency: cluster.config.residencies[0],
    });
  }
  return accounts;
}

async function verifyOn(running: Running): Promise<Ran> {
  const { options, services, cluster, recorder, accounts, pinned, signal } = running;
  const { clock, onProgress } = services;
  const planned = planOf(running);
  if (planned.length > 0)
    onProgress(`the plan of seed ${String(options.seed)}:\n${describePlan(planned)}`);
  const over = new AbortController();
  const loading = new AbortController();
  using striking = firstOf(over.signal, signal);
  const stage = await stageOn(cluster, {
    ...{ clock, recorder, servers: running.servers },
    signal: striking.signal,
    movable: movableOf(accounts).filter((id) => pinned?.accounts.includes(id) !== true),
    pinned: pinned?.accounts ?? [],
  });
  const loaded = await strike(running, { stage, planned, over, loading });
  signal.throwIfAborted();
  onProgress('waiting until everything has recovered');
  const missing = await settle(() => statusOf(cluster), { clock, signal });
  onProgress('reading what is there');
  const { final, residents, unread } = await finalOf(running, loaded.residents);
  const history: History = {
    operations: recorder.operations(),
    injected: stage.injections.list(),
    tenures: loaded.tenures,
    residents,
    final: final ?? NOTHING,
    ...opening(accounts),
  };
  const groups = new Map(Object.values(accounts).flatMap((all) => all.map((a) => [a.id, a.group])));
  return {
    ...{ history, groups, load: loaded.load, capped: recorder.full },
    ...{ planned, played: loaded.played, complete: final !== undefined },
    unrecovered: [...missing, ...unread],
  };
}

/** Load and faults, until the time is over and everything is healed. Nothing of either goes on then. */
async function strike(
  running: Running,
  parts: {
    readonly stage: Stage;
    readonly planned: readonly PlannedMove[];
    readonly over: AbortController;
    readonly loading: AbortController;
  },
): Promise<Pick<Ran, 'load' | 'played'> & Pick<History, 'tenures' | 'residents'>> {
  const { options, services, cluster, recorder, signal } = running;
  const { clock, onProgress } = services;
  const { stage, over, loading } = parts;
  using loadable = firstOf(loading.signal, signal);
  setMaxListeners(0, loadable.signal);
  const fromMs = recorder.nowMs();
  const load = runLoad(clientsOf(running), {
    ...{ clock, recorder, random: (name) => streamOf(options.seed, name) },
    signal: loadable.signal,
  });
  const onMove = ({ lanes, name }: PlannedMove): void => {
    onProgress(`${stamp(recorder.nowMs() - fromMs)} ${lanes[0] ?? ''}: ${name}`);
  };
  const watching = watchAll(running, stage, loadable.signal);
  const playing = playPlan(stage, parts.planned, { pace: BRISK, onMove });
  try {
    await watched(running, stage);
    over.abort();
    const played = await playing;
    onProgress('healing');
    await cluster.platform.chaos.heal();
    await clock.sleep(AFTERWARDS_MS, signal);
    const untilMs = recorder.nowMs();
    loading.abort();
    return { played, load: { fromMs, untilMs }, ...(await watching) };
  } finally {
    over.abort();
    loading.abort();
    // Interrupted, what is in flight ends with the clients that are about to be closed.
    if (!signal.aborted) await Promise.all([load, playing, watching]);
  }
}

/** What the servers say of themselves, until the signal fires. */
async function watchAll(
  { services, servers, recorder, pinned }: Running,
  stage: Stage,
  signal: AbortSignal,
): Promise<Pick<History, 'tenures' | 'residents'>> {
  const watch = { clock: services.clock, servers, nowMs: () => recorder.nowMs(), signal };
  const nodes = Object.values(stage.scene().view.groups).flatMap((group) => group.nodes);
  const voters = nodes.filter(({ kind }) => kind === 'voter').map(({ name }) => name);
  const [tenures, residents] = await Promise.all([
    watchTenures({ ...watch, nodes: voters }),
    pinned === undefined ? undefined : watchStrays(watch, pinned),
  ]);
  return { tenures, residents };
}

function planOf({ options, cluster }: Running): readonly PlannedMove[] {
  const groups = Object.values(cluster.observer.control.view.groups).toSorted((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  return planFaults({
    ...{ seed: options.seed, faults: options.faults, layout: options.layout, groups },
    durationMs: options.seconds * 1_000,
    nonVoters: groups.some(({ nodes }) => nodes.some(({ kind }) => kind === 'non-voter')),
  });
}

/** What is promised of several accounts is promised of those that stay together. */
function movableOf(accounts: Running['accounts']): readonly string[] {
  return WORKLOADS.filter(({ movable }) => movable === true).flatMap(({ name }) =>
    (accounts[name] ?? []).map(({ id }) => id),
  );
}

function clientsOf({ options, services, cluster, recorder, accounts }: Running): LoadClient[] {
  let value = 0;
  return WORKLOADS.flatMap((workload) =>
    workload.clients({
      clock: services.clock,
      recorder,
      accounts: accounts[workload.name] ?? [],
      regions: cluster.regions,
      nextValue: () => (value += 1),
      random: (name) => streamOf(options.seed, name),
    }),
  );
}

/** Until the time is over, telling how it goes. */
async function watched(
  { options, services, recorder, signal }: Running,
  stage: Stage,
): Promise<void> {
  const { clock, onProgress } = services;
  const fromMs = clock.monotonicMs();
  const endMs = fromMs + options.seconds * 1_000;
  for (;;) {
    const left = endMs - clock.monotonicMs();
    if (left <= 0 || recorder.full) return;
    await clock.sleep(Math.min(PROGRESS_MS, left), signal);
    const faults = `${String(stage.injections.size)} faults`;
    onProgress(
      `${stamp(clock.monotonicMs() - fromMs)} ${String(recorder.size)} operations, ${faults}`,
    );
  }
}

const stamp = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** A group that is closed has no leader for us, whoever writes there. */
async function statusOf({ platform, observer }: VerifyCluster): ReturnType<typeof platform.status> {
  const status = await platform.status();
  const { view } = observer.control;
  const open = (name: string): boolean => view.groups[name]?.leader !== undefined;
  const groups = status.groups.map((group) =>
    open(group.name) ? group : { ...group, leader: null },
  );
  return { ...status, groups };
}

/** A cluster whose data cannot be read, with everything healed, has not recovered. */
async function finalOf(
  { cluster, servers, recorder, accounts, pinned, services, signal }: Running,
  seen: History['residents'],
): Promise<{ readonly unread: readonly string[] } & Partial<Pick<History, 'final' | 'residents'>>> {
  const { observer } = cluster;
  try {
    const final = await readFinalState({
      ...{ db: observer, view: observer.control.view, servers, recorder, accounts },
      clock: services.clock,
    });
    const residents =
      pinned === undefined || seen === undefined
        ? undefined
        : await lastLook({ servers, nowMs: () => recorder.nowMs() }, pinned, seen);
    return { final, residents, unread: [] };
  } catch (error) {
    signal.throwIfAborted();
    if (!isMeridianError(error)) throw error;
    return { unread: [`what is there cannot be read: ${error.code}: ${error.message}`] };
  }
}

function opening(
  accounts: Readonly<Record<string, readonly Account[]>>,
): Pick<History, 'openedWith' | 'opened'> {
  const opened = Object.fromEntries(
    WORKLOADS.filter(({ openedWith }) => openedWith > 0).flatMap((workload) =>
      (accounts[workload.name] ?? []).map(({ id }) => [id, workload.openedWith]),
    ),
  );
  return { opened, openedWith: Object.values(opened).reduce((sum, each) => sum + each, 0) };
}
