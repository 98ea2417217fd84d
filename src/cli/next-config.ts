/** A changed configuration that a running platform is to end for: the same file, read again. */
import { loadConfig } from '../config/load.ts';
import type { ResolvedConfig } from '../config/resolved.ts';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Reload } from '../orchestrate/reloading.ts';

/** Whoever has asked is answered before everything stops. */
const ANSWER_MS = 200;

export class NextConfig implements Reload<ResolvedConfig> {
  readonly #present: ResolvedConfig;
  readonly #clock: Clock;
  readonly #firstAtMs: number;
  readonly #asked = new AbortController();
  #config: ResolvedConfig | undefined;

  constructor(present: ResolvedConfig, clock: Clock, before?: NextConfig) {
    this.#present = present;
    this.#clock = clock;
    this.#firstAtMs = before === undefined ? clock.monotonicMs() : before.#firstAtMs;
  }

  get config(): ResolvedConfig | undefined {
    return this.#config;
  }

  /** Aborted when it is time to end. */
  get signal(): AbortSignal {
    return this.#asked.signal;
  }

  /** Of a time that began with the first configuration. */
  left(ms: number): number {
    return Math.max(0, ms - (this.#clock.monotonicMs() - this.#firstAtMs));
  }

  async load(file: string): Promise<ResolvedConfig> {
    const { configFile, dataDirectory } = this.#present;
    if (file !== configFile) {
      throw new MeridianError(
        'ERR_OPERATION_REFUSED',
        `the platform was started with ${configFile}, not with ${file}`,
        { remedy: `Change ${configFile}, or start again with the other one.` },
      );
    }
    const next = await loadConfig({ folder: '.', file, again: true });
    if (next.dataDirectory === dataDirectory) return next;
    throw new MeridianError(
      'ERR_OPERATION_REFUSED',
      `the data is in ${dataDirectory}, and would be looked for in ${next.dataDirectory}`,
      { remedy: 'Stop the platform, move the directory, and start again.' },
    );
  }

  begin(next: ResolvedConfig): void {
    if (this.#config !== undefined) {
      throw new MeridianError('ERR_OPERATION_REFUSED', 'it begins again already');
    }
    this.#config = next;
    this.#clock.schedule(ANSWER_MS, () => {
      this.#asked.abort();
    });
  }
}
