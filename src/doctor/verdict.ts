/** What a check says: as it must be, worth a look, or in the way of a start. */
export type Area = 'machine' | 'configuration' | 'engine' | 'data' | 'network' | 'programs';

export type Verdict =
  | { readonly status: 'ok'; readonly found: string }
  /** `remedy` says what to do about it. */
  | { readonly status: 'warning' | 'failure'; readonly found: string; readonly remedy: string };

export type Finding = Verdict & { readonly check: string; readonly area: Area };

export const ok = (found: string): Verdict => ({ status: 'ok', found });
export const warning = (found: string, remedy: string): Verdict => ({
  status: 'warning',
  ...{ found, remedy },
});
export const failure = (found: string, remedy: string): Verdict => ({
  status: 'failure',
  ...{ found, remedy },
});

const MIB = 1024 * 1024;

/** "465 MB", "76.6 GB": for people, so rounded. */
export function formatSize(bytes: number): string {
  const mib = bytes / MIB;
  return mib < 10_000 ? `${String(Math.round(mib))} MB` : `${(mib / 1024).toFixed(1)} GB`;
}
