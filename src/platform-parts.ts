/** What the composition root (platform.ts) hands from stage to stage of a start. */
import type { AppHost } from './app/host.ts';
import type { PlatformChaos } from './chaos/control.ts';
import type { FaultHost } from './chaos/host.ts';
import type { ControlServer } from './control/feed-server.ts';
import type { ResolvedConfig } from './config/resolved.ts';
import type { DesiredState, Engine, EngineAdapter } from './engines/engine.ts';
import type { Clock } from './kernel/clock.ts';
import type { MeridianError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';
import type { Random } from './kernel/random.ts';
import type { Scope } from './kernel/scope.ts';
import type { Draining } from './orchestrate/draining.ts';
import type { Gateways } from './orchestrate/gateways.ts';
import type { Installation } from './orchestrate/installation.ts';
import type { LogRates } from './orchestrate/log-rates.ts';
import type { Operations } from './orchestrate/operate.ts';
import type { Rehoming } from './orchestrate/rehoming.ts';
import type { RollingRestart } from './orchestrate/rolling-restart.ts';
import type { Reload } from './orchestrate/reloading.ts';
import type { RecordedHost } from './orchestrate/strays.ts';
import type { World } from './orchestrate/world.ts';

/** What every stage of the start needs, and adds to. */
export interface Start {
  readonly config: ResolvedConfig;
  readonly desired: DesiredState;
  readonly adapter: EngineAdapter;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly scope: Scope;
  readonly signal: AbortSignal;
  readonly startedAtMs: number;
  readonly fail: (error: MeridianError) => void;
  readonly begin: (line: string) => void;
  readonly reload: Reload<ResolvedConfig> | undefined;
}

export interface Ground {
  readonly installation: Installation;
  readonly host: RecordedHost;
  /** Below the other: faults are in what runs, not in what is known of it. */
  readonly machines: FaultHost;
}

export interface Data extends Ground {
  readonly engine: Engine;
  readonly control: ControlServer;
  readonly world: World;
  readonly chaos: PlatformChaos;
  readonly operations: Operations;
  readonly rehoming: Rehoming;
  readonly draining: Draining;
  readonly logRates: LogRates;
  /** Set once it has started; status is asked for earlier. */
  edge?: Edge;
  /** From the beginning of the start to its end, once it has ended. */
  readyMs?: number;
}

export interface Edge {
  readonly gateways: Gateways;
  readonly app: AppHost | undefined;
  readonly rolling: RollingRestart;
}
