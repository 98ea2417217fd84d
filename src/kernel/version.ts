/** What this package's own manifest says of it. */
import { createRequire } from 'node:module';

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
}

function ownManifest(): Manifest {
  return createRequire(import.meta.url)('meridian/package.json') as Manifest;
}

export const ownVersion = (): string => ownManifest().version;

/** The oldest Node.js that it runs on: "20.19.0". */
export const requiredNode = (): string => ownManifest().engines.node.replace('>=', '');
