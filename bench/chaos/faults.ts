/** The nemesis of `meridian verify`, let loose on a platform that others load. */
import { setMaxListeners } from 'node:events';
import { connect } from '../../src/client/connect.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import type { Platform } from '../../src/platform-api.ts';
import type { Injected } from '../../src/verify/history.ts';
import { FAULT_KINDS, planFaults, type PlannedMove } from '../../src/verify/nemesis/plan.ts';
import { playPlan, type Pace, type Played } from '../../src/verify/nemesis/run.ts';
import { stageOn } from '../../src/verify/nemesis/stage.ts';
import { Recorder } from '../../src/verify/recorder.ts';
import { serversOf } from '../../src/verify/servers.ts';
import { settle } from '../../src/verify/settle.ts';

export interface Struck extends Played {
  /** Times in ms since 1970. */
  readonly injected: readonly Injected[];
  /** What had not recovered a minute after everything was healed. */
  readonly missing: readonly string[];
}

/** All kinds, from the seed, until the signal; then heals, and waits until everything has recovered. */
export async function strike(
  platform: Platform,
  config: ResolvedConfig,
  how: {
    readonly seed: number;
    readonly forMs: number;
    readonly pace: Pace;
    readonly signal: AbortSignal;
    readonly onMove: (text: string) => void;
  },
): Promise<Struck> {
  await using observer = await connect({
    controlUrl: platform.env['MERIDIAN_CONTROL_URL'] ?? '',
    controlToken: platform.env['MERIDIAN_CONTROL_TOKEN'] ?? '',
    ...{ region: config.primaryRegion, process: 'nemesis' },
  });
  const recorder = new Recorder(systemClock);
  const originMs = systemClock.now() - recorder.nowMs();
  const servers = await serversOf(platform, config.dataDirectory);
  setMaxListeners(0, how.signal);
  // Nobody's ears are stopped: the clients are the app servers, and no relay stands before them.
  const stage = await stageOn(
    { platform, config, observer, placed: [] },
    { clock: systemClock, recorder, servers, ...{ movable: [], pinned: [] }, signal: how.signal },
  );
  const groups = Object.values(observer.control.view.groups);
  const plan = planFaults({
    ...{ seed: how.seed, durationMs: how.forMs, faults: FAULT_KINDS, layout: config.survive },
    groups: groups.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    nonVoters: groups.some(({ nodes }) => nodes.some(({ kind }) => kind === 'non-voter')),
  });
  const onMove = ({ lanes, name }: PlannedMove): void => {
    how.onMove(`${lanes[0] ?? ''}: ${name}`);
  };
  const played = await playPlan(stage, plan, { pace: how.pace, onMove });
  await platform.chaos.heal();
  const calm = { clock: systemClock, signal: new AbortController().signal };
  const missing = await settle(() => platform.status(), calm);
  const since = (ms: number): number => Math.round(originMs + ms);
  const injected = stage.injections.list().map((fault) => ({
    ...fault,
    atMs: since(fault.atMs),
    healedAtMs: fault.healedAtMs === undefined ? undefined : since(fault.healedAtMs),
  }));
  return { ...played, injected, missing };
}
