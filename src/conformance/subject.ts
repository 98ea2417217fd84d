/**
 * What the author of an engine adapter gives to the conformance suite: how to start the ground that a
 * cluster stands on, and, where there are any, the means to hurt it.
 */
import type { EngineAdapter, EngineServices } from '../engines/engine.ts';
import type { NodeName } from '../topology/node.ts';
import type { LatencyMatrix, Region, RegionName } from '../topology/region.ts';
import type { SurvivalGoal } from '../topology/survival.ts';

/** The places that a cluster of the suite is spread over. */
export interface ClusterShape {
  readonly survive: SurvivalGoal;
  readonly regions: readonly Region[];
  /** To be emulated, or really there: laws on staleness need distance to show anything. */
  readonly latency: LatencyMatrix;
}

/** Each resolves when the fault is in force. Leave out what you cannot do: its laws are not run. */
export interface FaultControls {
  /** The server's process ends at once, with everything of it. */
  kill?(node: NodeName): Promise<void>;
  /** The server stands still, and its connections stay open. */
  pause?(node: NodeName): Promise<void>;
  resume?(node: NodeName): Promise<void>;
  /** Nothing travels between the region and the others. */
  cut?(region: RegionName): Promise<void>;
  heal?(region: RegionName): Promise<void>;
}

/** The ground of one cluster: its durable state outlives engines that are opened over it. */
export interface SubjectCluster extends AsyncDisposable {
  /** For one life of the control side; the store and the directory are the same each time. */
  services(): EngineServices;
  /** What still runs of the engine, by name; empty after an orderly stop. */
  running(): readonly string[];
  readonly faults: FaultControls;
}

export interface EngineSubject<Options = unknown> {
  readonly adapter: EngineAdapter<Options>;
  readonly options: Options;
  /** Fresh and empty; called a few times, never twice at once. Starts no server: plans do. */
  start(shape: ClusterShape): Promise<SubjectCluster>;
}
