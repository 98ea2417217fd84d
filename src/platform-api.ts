/**
 * The running platform as its starter sees it: the contract between src/platform.ts, which builds it,
 * and the command line, which starts, watches and stops it.
 */
import type { ChaosControl } from './control/chaos.ts';
import type { OperationOptions, OperationRequest } from './control/operation.ts';
import type { AccountExplanation, PlacementFacts, PlacementQuestion } from './control/placement.ts';
import type { RestartEnd, RestartOptions, RestartRequest } from './control/restart.ts';
import type { StatusReport } from './control/status.ts';
import type { ResolvedConfig } from './config/resolved.ts';
import type { Clock } from './kernel/clock.ts';
import type { MeridianError } from './kernel/errors.ts';
import type { Log } from './kernel/log.ts';
import type { Reload } from './orchestrate/reloading.ts';

export interface StartOptions {
  /** Discard existing data first. */
  readonly fresh: boolean;
  readonly log: Log;
  /** One line for a person, as each stage of the start begins or ends. */
  readonly onProgress: (line: string) => void;
  readonly clock?: Clock;
  /** Left out: the platform keeps the configuration that it was started with. */
  readonly reload?: Reload<ResolvedConfig>;
  /**
   * Told as soon as there may be processes what ends all of them at once, for a start that does not stop in time.
   * `Platform.kill` takes its place.
   */
  readonly onKillable?: (kill: () => void) => void;
  /** Aborted: the start stops what it has started and rejects with ERR_ABORTED. */
  readonly signal?: AbortSignal;
}

export interface Platform {
  /** From the call of startPlatform until requests are served. */
  readonly readyMs: number;
  /** Of that, until all database servers, their schema and the global tables were there. */
  readonly databaseReadyMs: number;
  /** It began without data. */
  readonly fresh: boolean;
  /** Address of each region's gateway: "http://127.0.0.1:8081". */
  readonly gateways: Readonly<Record<string, string>>;
  /** What a program on this machine needs to reach the platform: MERIDIAN_CONTROL_URL and _TOKEN. */
  readonly env: Readonly<Record<string, string>>;
  status(): Promise<StatusReport>;
  /**
   * Replaces app servers and gateways one by one; no request is lost. Throws ERR_RESTART_UNDER_WAY
   * while another restart is, ERR_CONTROL_REQUEST for an unknown region, and what a step failed with.
   */
  restart(request: RestartRequest, options?: RestartOptions): Promise<RestartEnd>;
  /**
   * What an operator asks of a replication group. Throws ERR_OPERATION_REFUSED, and what a step failed
   * with; a planned switchover that failed before its point of no return was taken back.
   */
  operate(request: OperationRequest, options?: OperationOptions): Promise<void>;
  /** Why an account lives where it does. Throws ERR_ACCOUNT_NOT_FOUND. */
  explain(account: string): Promise<AccountExplanation>;
  /** What a change of the declaration is planned from. */
  placement(question: PlacementQuestion): Promise<PlacementFacts>;
  /** Faults on purpose. */
  readonly chaos: ChaosControl;
  /** Resolves when the platform cannot go on; never rejects. Pending otherwise. */
  readonly failed: Promise<MeridianError>;
  /** Drains and stops everything; idempotent. */
  stop(): Promise<void>;
  /** Ends every process at once; the next start recovers. */
  kill(): void;
}

export type StartPlatform = (config: ResolvedConfig, options: StartOptions) => Promise<Platform>;

/** `<dataDirectory>/run/control.json`, 0600: how commands of the same user find the supervisor. */
export interface ControlFile {
  readonly url: string;
  readonly token: string;
  readonly pid: number;
}
