/** How the user's own HTTP servers run. Defaults are in src/config/defaults.ts. */
export interface AppOptions {
  /** Program and arguments; run with PORT and MERIDIAN_* in the environment. */
  readonly command: readonly string[];
  /** Working directory: the configuration file's folder unless declared. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  readonly instancesPerRegion: number;
  /** Answers 2xx when the server can serve. */
  readonly healthPath: string;
  readonly healthIntervalMs: number;
  /** Time from SIGTERM to SIGKILL. */
  readonly drainTimeoutMs: number;
  readonly startTimeoutMs: number;
}
