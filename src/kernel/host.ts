/**
 * The host port: what a machine offers to parts that run processes. The embedded engine and the app
 * host ask for processes here; the local driver (src/orchestrate/drivers/local) gives them.
 */
export interface ProcessSpec {
  /** Unique among running processes, for logs and status: "us-east-1.a", "app.eu-west.0". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** The whole environment (not merged with ours, so that nothing leaks by accident). */
  readonly env: Readonly<Record<string, string>>;
  /** Run as this account; needs root. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** Standard output and error go to this file, appended. */
  readonly logFile: string;
  /** Opens a message channel (Node processes only); see HostedProcess.send. */
  readonly channel?: boolean;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface HostedProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves when the process has ended; never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Undefined while it runs. */
  readonly exit: ProcessExit | undefined;
  signal(signal: NodeJS.Signals): void;
  /**
   * To everything in the process's group: itself and what it started. False when nobody is left; 0
   * only asks. Processes get a group of their own.
   */
  signalGroup(signal: NodeJS.Signals | 0): boolean;
  /**
   * To the process and all its descendants, also those that made a group of their own, as PostgreSQL's
   * do. Looked up once: what is forked meanwhile may be missed, unless its parent was stopped first.
   */
  signalTree(signal: NodeJS.Signals): void;
  /** To a process with a channel. Silently lost once the process has ended. */
  send(message: unknown, socket?: SharedSocket): void;
  onMessage(listener: (message: unknown) => void): void;
}

/**
 * A TCP socket that is ours, and that processes accept connections on: they come and go, the port
 * stays, and connections that come between two of them wait.
 */
export interface SharedSocket {
  readonly port: number;
  /** What `HostedProcess.send` passes on. */
  readonly handle: object;
  close(): void;
}

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Host {
  /** Resolves when the process exists; rejects with ERR_PROCESS_FAILED when it cannot be started. */
  spawn(spec: ProcessSpec): Promise<HostedProcess>;
  /** The machine under a process is down, or stands still: nothing can be started or changed there. */
  isDown?(name: string): boolean;
  /** Runs to the end and collects the output (bounded to 1 MiB each). */
  run(spec: Omit<ProcessSpec, 'logFile' | 'channel'>, timeoutMs: number): Promise<CommandResult>;
  /** Kills the commands that run and refuses new ones with ERR_ABORTED: the start was interrupted. */
  endCommands(): void;
  /** Bound at an IP address (0: any port), not listening yet. Throws ERR_PORT_TAKEN. */
  bindSocket(address: string, port: number): SharedSocket;
  /** A TCP port on loopback that nothing listened on a moment ago. */
  freePort(): Promise<number>;
}
