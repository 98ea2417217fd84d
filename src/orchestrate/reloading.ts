/** A changed configuration, accepted before anything is stopped for it. */
import type { ReloadFrom } from '../control/routes/processes.ts';

/** As Reload of the platform's interface, which knows more. */
interface Reload<Config> {
  load(file: string): Promise<Config>;
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
