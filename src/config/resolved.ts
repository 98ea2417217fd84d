/**
 * The configuration with every default filled in and every path absolute: what the platform is built
 * from. Only `resolveConfig` makes it, from a declaration that passed every check.
 */
import type { AppOptions } from '../app/options.ts';
import type { PostgresOptions } from '../engines/postgres/options.ts';
import type { GatewayOptions } from '../gateway/options.ts';
import type { LogLevel } from '../kernel/log.ts';
import type { RehomingOptions } from '../placement/rehoming-mode.ts';
import type { Prices } from '../topology/declared.ts';
import type { TableLocality } from '../topology/locality.ts';
import type { LatencyMatrix, Region, RegionName } from '../topology/region.ts';
import type { Residency } from '../topology/residency.ts';
import type { SurvivalGoal } from '../topology/survival.ts';

export interface LatencyOptions {
  /** Unscaled, and kept when emulation is off: "nearest" means the same either way. */
  readonly matrix: LatencyMatrix;
  /** Emulated delays are the matrix times this; 0 when off. */
  readonly scale: number;
  readonly emulated: boolean;
}

export interface EngineOptions {
  readonly adapter: 'postgres';
  readonly options: PostgresOptions;
}

export interface TrafficOptions {
  readonly command: readonly string[];
  readonly directory: string;
}

export interface ResolvedConfig {
  readonly configFile: string;
  readonly regions: readonly Region[];
  readonly primaryRegion: RegionName;
  readonly survive: SurvivalGoal;
  readonly residencies: readonly Residency[];
  readonly groupsPerRegion: number;
  readonly rangesPerRegion: number;
  readonly latency: LatencyOptions;
  readonly engine: EngineOptions;
  readonly migrationsDirectory: string;
  readonly tables: Readonly<Record<string, TableLocality>>;
  readonly tenantFence: boolean;
  readonly app?: AppOptions;
  readonly gateway: GatewayOptions;
  readonly traffic?: TrafficOptions;
  readonly dataDirectory: string;
  readonly controlPort: number;
  readonly startTimeoutMs: number;
  readonly prices?: Prices;
  readonly statements: Readonly<Record<string, string>>;
  readonly rehoming: RehomingOptions;
  readonly heartbeat: { readonly activeMs: number; readonly idleMs: number };
  readonly log: { readonly level: LogLevel };
}
