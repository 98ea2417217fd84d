/** The bank's declaration, for a run in a folder of its own at ports that are free. */
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');

export interface OwnBank {
  readonly config: ResolvedConfig;
  /** Of the data, and of what is kept beside it. */
  readonly directory: string;
}

export async function ownBank(): Promise<OwnBank> {
  const declared = await loadConfig({
    folder: ROOT,
    file: join(ROOT, 'examples', 'bank', 'meridian.config.ts'),
  });
  const directory = await mkdtemp(join(tmpdir(), 'meridian-bench-'));
  // Servers of an unprivileged account enter it too.
  await chmod(directory, 0o755);
  const ports = Object.fromEntries(declared.regions.map((region) => [region.name, 0]));
  const gateway = { ...declared.gateway, ports };
  const config = { ...declared, dataDirectory: join(directory, 'data'), gateway };
  return { config, directory };
}
