/**
 * The engine port: what the rest of the platform may ask of a database. Five verbs; everything that
 * differs between engines is in `capabilities`. Never branch on `name`.
 *
 * The control side (`Engine`) lives in the supervisor. The data side (`Connector`) lives in every
 * process that reads and writes; it needs only the routing view and credentials, so it works while the
 * control side is down.
 */
import type { Clock } from '../kernel/clock.ts';
import type { Host } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Random } from '../kernel/random.ts';
import type { MigrationFile } from '../migrations/files.ts';
import type { GroupSpec, NodeName } from '../topology/node.ts';
import type { TableLocality } from '../topology/locality.ts';
import type { Position, GroupName, Token } from '../topology/position.ts';
import type { AccountId, Address, RangeName } from '../topology/routing.ts';
import type { Locality } from '../topology/region.ts';
import type { SchemaFacts } from '../topology/schema-facts.ts';
import type { EngineCapabilities } from './capabilities.ts';
import type { Connector, ConnectorServices } from './connector.ts';
import type { DiagnosisGround, EngineDiagnosis } from './diagnosis.ts';
import type { ClusterSnapshot } from './snapshot.ts';

export interface EngineAdapter<Options = unknown> {
  readonly name: string;
  readonly capabilities: EngineCapabilities;
  /** The control side. Starts nothing: `plan` and `perform` do. */
  open(options: Options, services: EngineServices): Promise<Engine>;
  /**
   * The declaration as earlier starts, whose document is given, have carried it out: with the names and zones of
   * what is there. Pure. Left out: these do not depend on what else is declared.
   */
  asStored?(stored: unknown, desired: DesiredState): DesiredState;
  /** Throws what a start with this declaration would refuse, after one whose document is given. Pure. */
  checkStored?(stored: unknown, desired: DesiredState): void;
  /** Removes everything the engine keeps below the directory; nothing of it may run. */
  discard(directory: string): Promise<void>;
  /**
   * Looks at the machine for `meridian doctor`; changes nothing, starts nothing that stays, and never
   * rejects. Left out: the engine's part is not looked at.
   */
  diagnose?(options: Options, ground: DiagnosisGround): Promise<EngineDiagnosis>;
  /** The data side. */
  connector(services: ConnectorServices): Connector;
}

/** Addresses through the (emulated) network; see src/wan. */
export interface Links {
  link(route: { from: Locality; to: Locality; target: Address }): Promise<Address>;
  retarget(old: Address, next: Address): Promise<void>;
}

/** The engine's part of the durable control store. Resolves when it would survive a crash. */
export interface EngineStore {
  read(): unknown;
  write(document: unknown): Promise<void>;
}

export interface EngineServices {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly host: Host;
  readonly links: Links;
  readonly store: EngineStore;
  /** Data directories and logs of the nodes go below; exists, writable. */
  readonly directory: string;
  /** Called whenever routes change: a leader opened or closed, an epoch rose. */
  onRoutes(): void;
  /**
   * Can the control side reach what is there? Left out: always. Emulated partitions cut off the arbiter
   * as well, or there would be no zombies.
   */
  reaches?(place: Locality): boolean;
  /**
   * Told of each phase of a failover, switchover or rebuild before its effects begin, and
   * waited for: what the crash tests are built on.
   */
  onPhase?(machine: string, phase: string): Promise<void> | void;
}

export interface DesiredRange {
  readonly name: RangeName;
  readonly group: GroupName;
}

/** What is declared, in the engine's terms. */
export interface DesiredState {
  readonly groups: readonly GroupSpec[];
  readonly primaryGroup: GroupName;
  readonly ranges: readonly DesiredRange[];
  readonly tables: Readonly<Record<string, TableLocality>>;
  /** Row security keeps a transaction to the accounts it opened. */
  readonly tenantFence: boolean;
  readonly databaseMigrations: readonly MigrationFile[];
  readonly regionalMigrations: readonly MigrationFile[];
}

/** Planned changes, beside what is declared: asked for once, and forgotten when they are done. */
export interface Wanted {
  /** Who shall lead. */
  readonly leaders?: Readonly<Record<GroupName, NodeName>>;
  /** Replicas to be copied anew. */
  readonly rebuild?: readonly NodeName[];
  /** Groups to be opened from what is left of them, whatever was lost. */
  readonly recover?: readonly GroupName[];
  /** Where ranges shall be. */
  readonly moves?: Readonly<Record<RangeName, GroupName>>;
  /** Ranges whose moves shall end: undone, or finished where that is not possible any more. */
  readonly cancelMoves?: readonly RangeName[];
  /** Accounts that shall be in other ranges. */
  readonly transfers?: readonly WantedTransfer[];
  /** Numbers of transfers that shall end: undone as far as that is possible. */
  readonly cancelTransfers?: readonly string[];
  /** Groups that shall get no new accounts, because they are to go. */
  readonly drain?: readonly GroupName[];
  /** Those of them that nothing is in any more, so that the declaration may leave them out. */
  readonly retire?: readonly GroupName[];
  /** Those that are not to go after all. */
  readonly restore?: readonly GroupName[];
}

export type WantedTransfer =
  /** Into a new range of the same group. */
  | {
      readonly kind: 'split';
      readonly from: RangeName;
      readonly accounts: readonly AccountId[];
    }
  /** All of a range that a split has made, into another one of its group; the empty one goes. */
  | { readonly kind: 'merge'; readonly from: RangeName; readonly into: RangeName }
  /** To another group, from wherever they are. */
  | {
      readonly kind: 'rehome';
      readonly accounts: readonly AccountId[];
      readonly to: GroupName;
      /** They may be pinned to another residency, or to none, from then on. */
      readonly repin?: boolean | undefined;
    };

export interface EngineStep {
  /** Stable: equal situations give equal ids. */
  readonly id: string;
  /** What `plan` prints. */
  readonly summary: string;
  readonly effect: 'metadata' | 'lock' | 'data-movement' | 'role-change' | 'process';
  /** Ids of steps of the same plan that must be done first. */
  readonly after: readonly string[];
  /** Engine-specific, JSON-serialisable. */
  readonly action: unknown;
}

/** In bytes, or in accounts. */
export type StepProgress =
  | { readonly doneBytes: number; readonly totalBytes: number | null }
  | { readonly doneAccounts: number; readonly totalAccounts: number };

export interface PerformOptions {
  readonly onPhase?: ((phase: string) => void) | undefined;
  readonly onProgress?: ((progress: StepProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type StepOutcome = { readonly kind: 'done' } | { readonly kind: 'already-done' };

export interface NodeRoute {
  readonly node: NodeName;
  readonly address: Address;
}

/** Where groups and ranges are now, for the routing view. */
export interface EngineRoutes {
  readonly groups: Readonly<
    Record<GroupName, { readonly epoch: number; readonly leader: NodeName | undefined }>
  >;
  readonly ranges: Readonly<
    Record<
      RangeName,
      {
        readonly group: GroupName;
        readonly epoch: number;
        /** These as in RoutedRange. */
        readonly origins?: Token | undefined;
        readonly made?: boolean | undefined;
        readonly goingTo?: GroupName | undefined;
      }
    >
  >;
  readonly nodes: readonly NodeRoute[];
  /** As in RoutingView. */
  readonly directory?: number | undefined;
}

export interface RangeFacts {
  readonly range: RangeName;
  readonly group: GroupName;
  /** A split has made it. */
  readonly made: boolean;
  readonly accounts: number;
  /** Of its tables, without their indexes. */
  readonly bytes: number;
}

export interface AccountFacts {
  /** Those that exist: in which group's which range. */
  readonly homes: ReadonlyMap<AccountId, { readonly range: RangeName; readonly group: GroupName }>;
  /** Of an account of the range, on average. */
  readonly bytesPerAccount: Readonly<Record<RangeName, number>>;
  /** Of all accounts. */
  readonly totalBytes: number;
}

export interface Engine extends AsyncDisposable {
  readonly capabilities: EngineCapabilities;

  /** Takes the declaration into account; before the first `observe`. Idempotent. */
  adopt(desired: DesiredState): void;

  /** One immutable picture of the cluster; a node that doesn't answer is unknown, never absent. */
  observe(options: { readonly signal?: AbortSignal }): Promise<ClusterSnapshot>;

  /** Pure and total: equal inputs give equal steps; nothing to do gives none. */
  plan(desired: DesiredState, observed: ClusterSnapshot): readonly EngineStep[];

  /** Steps for a wish of an operator; throws ERR_OPERATION_REFUSED with the reason. Pure. */
  planWanted(wanted: Wanted, observed: ClusterSnapshot): readonly EngineStep[];

  /** Idempotent: may be called again after a crash in the middle. */
  perform(step: EngineStep, desired: DesiredState, options?: PerformOptions): Promise<StepOutcome>;

  /** Resumable stream of committed changes. ERR_ENGINE_UNSUPPORTED without the capability. */
  changes(after: Position | undefined): Promise<AsyncIterable<unknown>>;

  routes(): EngineRoutes;

  /** Where accounts are and what they weigh, for placement. Left out: the engine places them itself. */
  accountFacts?(accounts: readonly AccountId[]): Promise<AccountFacts>;

  /**
   * Some of the accounts that are in these groups, in the order of their ids, behind the one that is named. Left out:
   * the engine places them itself.
   */
  accountsInGroups?(
    groups: readonly GroupName[],
    part: { readonly after: AccountId; readonly limit: number },
  ): Promise<readonly AccountId[]>;

  /** What each range holds. Left out: the engine has no ranges that anybody else decides of. */
  rangeFacts?(): Promise<readonly RangeFacts[]>;

  /** Keys and references of the declared tables, and what these statements would do; none is run. */
  schemaFacts?(
    desired: DesiredState,
    statements: Readonly<Record<string, string>>,
  ): Promise<SchemaFacts>;

  /** Credentials of the application's role: not a superuser, owner of nothing. */
  applicationCredentials(): {
    readonly database: string;
    readonly user: string;
    readonly password: string;
  };

  /** Readers want bounded staleness just now: keep heartbeats frequent for a while. */
  noteActivity(): void;

  /** Moves the clock by which a node judges leases and ages; 0 sets it right. For fault injection. */
  skewClock?(node: NodeName, offsetMs: number): Promise<void>;

  /** Orderly: what is acknowledged is on every reachable replica when this resolves. */
  stop(): Promise<void>;

  /** At once; the next start recovers. */
  kill(): void;
}
