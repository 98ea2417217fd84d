/** Everything that moves need of a running cluster. */
import type { Clock } from '../../kernel/clock.ts';
import type { ControlSubscription } from '../../control/subscription.ts';
import type { Platform } from '../../platform-api.ts';
import type { AccountHome } from '../../topology/routing.ts';
import type { PlacedClient, VerifyCluster } from '../cluster.ts';
import type { Recorder } from '../recorder.ts';
import type { Servers } from '../servers.ts';
import { Injections } from './injections.ts';
import type { Scene } from './scene.ts';

export interface Stage {
  readonly clock: Clock;
  readonly platform: Platform;
  readonly control: ControlSubscription;
  readonly placed: readonly PlacedClient[];
  readonly servers: Servers;
  readonly injections: Injections;
  readonly scene: () => Scene;
  /** Accounts of which nothing is promised that needs them to be with others. */
  readonly movable: readonly string[];
  /** Like those, but to a residency. */
  readonly pinned: readonly string[];
  readonly locate: (account: string) => Promise<AccountHome>;
  /** The load ends: no more than undoing. */
  readonly signal: AbortSignal;
}

const LOCATE_TIMEOUT_MS = 10_000;

export async function stageOn(
  cluster: Pick<VerifyCluster, 'platform' | 'config' | 'observer' | 'placed'>,
  parts: {
    readonly clock: Clock;
    readonly recorder: Pick<Recorder, 'nowMs'>;
    readonly servers: Servers;
    readonly signal: AbortSignal;
    readonly movable: readonly string[];
    readonly pinned: readonly string[];
  },
): Promise<Stage> {
  const { platform, config, observer, placed } = cluster;
  const { control } = observer;
  const { gateways, appServers } = await platform.status();
  const lastLeaders = new Map<string, string>();
  const note = (): void => {
    for (const { name, leader } of Object.values(control.view.groups)) {
      if (leader !== undefined) lastLeaders.set(name, leader);
    }
  };
  note();
  control.onView(note);
  return {
    ...{ platform, control, placed },
    ...{ clock: parts.clock, servers: parts.servers, signal: parts.signal },
    ...{ movable: parts.movable, pinned: parts.pinned },
    locate: (account) => observer.locate(account, { fresh: true, timeoutMs: LOCATE_TIMEOUT_MS }),
    injections: new Injections(() => parts.recorder.nowMs()),
    scene: (): Scene => ({
      view: control.view,
      layout: config.survive,
      regions: config.regions,
      lastLeaders,
      apps: byRegion(appServers),
      gateways: byRegion(gateways),
    }),
  };
}

function byRegion(
  processes: readonly { readonly name: string; readonly region: string }[],
): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  for (const { name, region } of processes) (found[region] ??= []).push(name);
  return found;
}
