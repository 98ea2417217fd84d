/**
 * What `meridian migrate` and the supervisor say to each other: one request, answered by lines of JSON
 * as the work goes on, the last of which is `done` or `failed`. A caller that leaves stops the work
 * behind the range it is at; what is done stays done, and the next request goes on from there.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { TableLocality } from '../topology/locality.ts';

export interface MigrationRequest {
  /** Tell what would run, and change nothing. */
  readonly dryRun: boolean;
  /** As the configuration declares them now: a migration may have made new ones. */
  readonly tables: Readonly<Record<string, TableLocality>>;
}

/** Files that one database or range still needs. */
export interface PendingWork {
  /** "group us-east-1", "range r0001". */
  readonly where: string;
  readonly files: readonly { readonly path: string; readonly statements: number }[];
}

export interface MigrationWarning {
  readonly file: string;
  readonly line: number;
  readonly warning: { readonly what: string; readonly remedy: string };
}

export type MigrationMessage =
  | {
      readonly kind: 'plan';
      readonly pending: readonly PendingWork[];
      readonly warnings: readonly MigrationWarning[];
    }
  | { readonly kind: 'step'; readonly summary: string; readonly tookMs: number }
  | { readonly kind: 'done' }
  | {
      readonly kind: 'failed';
      readonly error: { readonly code: string; readonly message: string; readonly remedy: string };
      /** What is not applied yet, the failed file first in its range. */
      readonly pending: readonly PendingWork[];
    };

/** Throws ERR_CONTROL_REQUEST. */
export function parseMigrationRequest(body: string): MigrationRequest {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    // Refused below, like any other wrong shape.
  }
  const { dryRun, tables } = isRecord(request) ? request : {};
  if (
    typeof dryRun !== 'boolean' ||
    !isRecord(tables) ||
    !Object.values(tables).every(isLocality)
  ) {
    throw new MeridianError('ERR_CONTROL_REQUEST', 'the body is not a request to migrate');
  }
  return { dryRun, tables: tables as MigrationRequest['tables'] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isLocality(value: unknown): value is TableLocality {
  if (!isRecord(value)) return false;
  return (
    value['kind'] === 'global' || (value['kind'] === 'regional' && typeof value['by'] === 'string')
  );
}
