/**
 * Everything a command may touch of its surroundings, in one object, so that tests run commands in
 * their own process with nothing replaced behind their back.
 */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface CliIo {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Calls for each SIGINT and SIGTERM; returns the unsubscriber. */
  onStopSignal(listener: (signal: NodeJS.Signals) => void): () => void;
  /** Ends this process at once. Only for a second Ctrl-C. */
  exitNow(code: number): void;
}

/** A failure that was already told: only the exit code is left to say. */
export class ExitCode extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit ${String(exitCode)}`);
    this.exitCode = exitCode;
  }
}
