/** The version of this package, from its own manifest. */
import { createRequire } from 'node:module';

export function ownVersion(): string {
  const manifest = createRequire(import.meta.url)('meridian/package.json') as { version: string };
  return manifest.version;
}
