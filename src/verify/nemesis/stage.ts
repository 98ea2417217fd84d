/** Everything that moves need of a running cluster. */
import type { Clock } from '../../kernel/clock.ts';
import type { VerifyCluster } from '../cluster.ts';
import type { Recorder } from '../recorder.ts';
import type { Servers } from '../servers.ts';
import { Injections } from './injections.ts';
import type { Stage } from './moving.ts';
import type { Scene } from './scene.ts';

export async function stageOn(
  cluster: Pick<VerifyCluster, 'platform' | 'config' | 'observer' | 'placed'>,
  parts: {
    readonly clock: Clock;
    readonly recorder: Pick<Recorder, 'nowMs'>;
    readonly servers: Servers;
    readonly signal: AbortSignal;
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
