/** A changed configuration, accepted before anything is stopped for it. */
import type { ReloadFrom } from '../control/routes/processes.ts';

/** By whoever has started the platform: it ends, and begins again with a changed configuration. */
export interface Reload<Config> {
  /** The file as it is now. Throws unless it is the one that the platform was started with, and sound. */
  load(file: string): Promise<Config>;
  /** Soon; the caller is answered before. */
  begin(next: Config): void;
}

/** @param check throws what the next start would refuse */
export function reloading<Config>(
  reload: Reload<Config> | undefined,
  check: (next: Config) => Promise<void>,
): ReloadFrom | undefined {
  if (reload === undefined) return undefined;
  return async (file) => {
    const next = await reload.load(file);
    await check(next);
    reload.begin(next);
  };
}
