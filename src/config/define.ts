/**
 * The declaration: what a person writes in `meridian.config.ts`. Inert data only, so that it can be
 * checked, printed and compared before anything runs. Defaults are named here for the reader's editor
 * and live in defaults.ts; docs/reference/config.md lists the same, and a test compares the three.
 */
import type { RehomingMode } from '../placement/rehoming-mode.ts';
import type { LogLevel } from '../kernel/log.ts';
import type { TableLocality } from '../topology/locality.ts';
import type { SurvivalGoal } from '../topology/survival.ts';
import type { GatewayConfig } from './define-gateway.ts';
import type { EngineConfig } from './parts.ts';

export interface RegionConfig {
  /**
   * Independent failure domains inside the region. Zone survival needs at least three: the voters of
   * the region's replication groups go to the first three.
   * @defaultValue ['a', 'b', 'c']
   */
  readonly zones?: readonly string[] | undefined;
  /**
   * Where the region is, in degrees. Used to compute round trips that `latency` does not state.
   * @defaultValue none
   */
  readonly coordinates?:
    | {
        /** Degrees north, -90 to 90. */
        readonly latitude: number;
        /** Degrees east, -180 to 180. */
        readonly longitude: number;
      }
    | undefined;
}

export interface LatencyConfig<Region extends string = string> {
  /**
   * Round trip of a pair of regions in milliseconds: `{ 'us-east|eu-west': 80 }`, in either order.
   * Pairs left out: 80, 200 and 140 between us-east, eu-west and ap-south; else computed from the
   * coordinates of both; else 100.
   * @defaultValue \{\}
   */
  readonly betweenRegionsMs?: Readonly<Partial<Record<`${Region}|${Region}`, number>>> | undefined;
  /**
   * Round trip between two zones of a region in milliseconds.
   * @defaultValue 1
   */
  readonly betweenZonesMs?: number | undefined;
  /**
   * Multiplies every emulated round trip; 0 emulates none.
   * @defaultValue 1
   */
  readonly scale?: number | undefined;
}

export interface PricesConfig<Region extends string = string> {
  /**
   * What the prices are in.
   * @defaultValue 'USD'
   */
  readonly currency?: string | undefined;
  /**
   * Of 10^9 bytes, by pair of regions in either order: `{ 'us-east|eu-west': 0.02 }`.
   * @defaultValue \{\}
   */
  readonly perGigabyte?: Readonly<Partial<Record<`${Region}|${Region}`, number>>> | undefined;
  /**
   * Of 10^9 bytes between all other pairs.
   * @defaultValue 0.02
   */
  readonly otherPerGigabyte?: number | undefined;
}

export interface AppConfig {
  /**
   * Program and arguments of your HTTP server. It gets `PORT` and `MERIDIAN_*` in its environment and
   * must listen on 127.0.0.1 at that port.
   */
  readonly command: readonly string[];
  /**
   * Copies per region, spread over its zones.
   * @defaultValue 2
   */
  readonly instancesPerRegion?: number | undefined;
  /**
   * Working directory, relative to the configuration file.
   * @defaultValue '.'
   */
  readonly directory?: string | undefined;
  /**
   * Added to the environment of every copy. Its values are never printed.
   * @defaultValue \{\}
   */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /**
   * Answers 2xx when the server can serve.
   * @defaultValue '/healthz'
   */
  readonly healthPath?: string | undefined;
  /**
   * Time between two health checks of one copy.
   * @defaultValue 1000
   */
  readonly healthIntervalMs?: number | undefined;
  /**
   * Time from SIGTERM to SIGKILL when a copy stops.
   * @defaultValue 2000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * A copy that is not healthy by then is restarted.
   * @defaultValue 20000
   */
  readonly startTimeoutMs?: number | undefined;
}

export interface TrafficConfig {
  /**
   * A program that sends requests; `meridian up --traffic` runs it. It gets the gateways' addresses in
   * `MERIDIAN_GATEWAYS` and the options `--for`, `--rate`, `--seed` and `--json` as arguments.
   */
  readonly command: readonly string[];
  /**
   * Working directory, relative to the configuration file.
   * @defaultValue '.'
   */
  readonly directory?: string | undefined;
}

export interface MeridianConfig<Region extends string = string> {
  /** Every region by name, in the order that gateways take their ports. */
  readonly regions: Readonly<Record<Region, RegionConfig>>;
  /** Home of the directory and of global tables: they are written here and read everywhere. */
  readonly primaryRegion: NoInfer<Region>;
  /**
   * The largest failure that must not stop writes. 'zone' keeps commits inside their region; 'region'
   * needs three, and a commit waits for one round trip to the nearest.
   * @defaultValue 'zone'
   */
  readonly survive?: SurvivalGoal | undefined;
  /**
   * Regions that pinned accounts stay in, by the residency's name: `{ 'eu-only': ['eu-west'] }`. Each gets a
   * replication group of its own in each of its regions, with all of its servers there.
   * @defaultValue \{\}
   */
  readonly residency?: Readonly<Record<string, readonly NoInfer<Region>[]>> | undefined;
  /**
   * Replication groups homed in each region.
   * @defaultValue 1
   */
  readonly groupsPerRegion?: number | undefined;
  /**
   * Ranges of accounts homed in each region when the platform is first created; at least one for each
   * group.
   * @defaultValue 1
   */
  readonly rangesPerRegion?: number | undefined;
  /**
   * Round trips, emulated between the processes of one machine; 'off' emulates none.
   * @defaultValue \{\}
   */
  readonly latency?: 'off' | LatencyConfig<NoInfer<Region>> | undefined;
  /**
   * The database, made by `postgres()`.
   * @defaultValue postgres()
   */
  readonly engine?: EngineConfig | undefined;
  /**
   * Folder with `database/` and `regional/`, relative to the configuration file.
   * @defaultValue './migrations'
   */
  readonly migrations?: string | undefined;
  /** Every table of the migrations by name: `regional({ by: 'account_id' })` or `global()`. */
  readonly tables: Readonly<Record<string, TableLocality>>;
  /**
   * A transaction sees and changes rows of the accounts it was opened for and no others, whatever its
   * WHERE says: row-level security on every regional table. A change takes effect at the next start.
   * @defaultValue true
   */
  readonly tenantFence?: boolean | undefined;
  /**
   * Your HTTP server. Without it the platform runs the database and gateways alone.
   * @defaultValue none
   */
  readonly app?: AppConfig | undefined;
  /**
   * The HTTP entry of each region.
   * @defaultValue \{\}
   */
  readonly gateway?: GatewayConfig<NoInfer<Region>> | undefined;
  /**
   * A program that drives requests, for demonstration and measurement.
   * @defaultValue none
   */
  readonly traffic?: TrafficConfig | undefined;
  /**
   * Where everything that must survive a restart is kept, relative to the configuration file.
   * @defaultValue '.meridian'
   */
  readonly dataDirectory?: string | undefined;
  /**
   * Port of the supervisor's control interface on loopback; 0 picks a free one.
   * @defaultValue 0
   */
  readonly controlPort?: number | undefined;
  /**
   * The platform is ready by then, or start fails.
   * @defaultValue 60000
   */
  readonly startTimeoutMs?: number | undefined;
  /**
   * What bytes between regions cost: `meridian plan` says what a change costs. Without it, bytes alone.
   * @defaultValue none
   */
  readonly prices?: PricesConfig<NoInfer<Region>> | undefined;
  /**
   * Statements of the application by name: `meridian plan` looks at what each does over regions. None is run.
   * @defaultValue \{\}
   */
  readonly statements?: Readonly<Record<string, string>> | undefined;
  /** Accounts are given another home region where their traffic says so. */
  readonly rehoming?: RehomingConfig | undefined;
  /** How often each group's leader proves its age, which bounded reads on replicas rely on. */
  readonly heartbeat?:
    | {
        /**
         * While bounded reads are being asked for.
         * @defaultValue 100
         */
        readonly activeMs?: number | undefined;
        /**
         * Otherwise.
         * @defaultValue 1000
         */
        readonly idleMs?: number | undefined;
      }
    | undefined;
  /** The supervisor's own log, under the data directory. */
  readonly log?:
    | {
        /**
         * The least severe line that is written.
         * @defaultValue 'info'
         */
        readonly level?: LogLevel | undefined;
      }
    | undefined;
}

/** Times are in intervals, and in cycles of them: hours and days unless declared otherwise. */
export interface RehomingConfig {
  /**
   * 'off' counts nothing; 'suggest' says which accounts should move, in status and `meridian explain`;
   * 'auto' moves them.
   * @defaultValue 'suggest'
   */
  readonly mode?: RehomingMode | undefined;
  /**
   * Traffic is added up over so long.
   * @defaultValue 3600000
   */
  readonly intervalMs?: number | undefined;
  /**
   * After so many intervals traffic is expected to repeat itself.
   * @defaultValue 24
   */
  readonly intervalsPerCycle?: number | undefined;
  /**
   * Accounts whose traffic is remembered; those with the least are forgotten beyond it.
   * @defaultValue 20000
   */
  readonly accountsMax?: number | undefined;
  /**
   * Share of the mean distance that another home must save.
   * @defaultValue 0.2
   */
  readonly gainMin?: number | undefined;
  /**
   * Share of the traffic that must come from the new home.
   * @defaultValue 0.45
   */
  readonly dominanceMin?: number | undefined;
  /**
   * Accesses in a cycle below which an account stays where it is.
   * @defaultValue 24
   */
  readonly accessesMin?: number | undefined;
  /**
   * The preference must show in each of so many cycles.
   * @defaultValue 2
   */
  readonly dwellCycles?: number | undefined;
  /**
   * A home is vacated when at most this share of its traffic of the cycle before is left.
   * @defaultValue 0.1
   */
  readonly vacatedShareMax?: number | undefined;
  /**
   * Intervals after which that tells.
   * @defaultValue 6
   */
  readonly vacatedIntervals?: number | undefined;
  /**
   * Intervals in which nothing moves an account again.
   * @defaultValue 72
   */
  readonly cooldownIntervals?: number | undefined;
  /**
   * Share of all bytes that may be moved in a cycle.
   * @defaultValue 0.02
   */
  readonly bytesShareMax?: number | undefined;
  /**
   * Accounts that may be moved in a cycle.
   * @defaultValue 10000
   */
  readonly movesMax?: number | undefined;
  /**
   * A group is hot from so many accesses in an interval on.
   * @defaultValue 1000
   */
  readonly hotAccessesMin?: number | undefined;
  /**
   * And with so many times the mean of its region's groups.
   * @defaultValue 1.5
   */
  readonly hotImbalanceMin?: number | undefined;
}

/** What a configuration file may export: the declaration, a promise of it, or a function giving either. */
export type ConfigInput<Region extends string = string> =
  | MeridianConfig<Region>
  | Promise<MeridianConfig<Region>>
  | (() => MeridianConfig<Region> | Promise<MeridianConfig<Region>>);

/** Gives the declaration back as it is; here for the editor's completion and checks. */
export function defineConfig<const Region extends string>(
  config: ConfigInput<Region>,
): ConfigInput<Region> {
  return config;
}
