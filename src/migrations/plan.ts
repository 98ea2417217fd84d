/**
 * Which migrations a database or range still needs. Pure. History is append-only: what was applied must
 * be unchanged and come first, so that every range went through the same steps in the same order.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { MigrationFile } from './files.ts';

/** As recorded in the same transaction that applied it. */
export interface AppliedRecord {
  readonly name: string;
  readonly checksum: string;
}

export interface MigrationPlan {
  /** In order. */
  readonly pending: readonly MigrationFile[];
}

export interface PlanInput {
  readonly applied: readonly AppliedRecord[];
  /** Of one scope, in order. */
  readonly files: readonly MigrationFile[];
  /** For messages: "range r0001", "group us-east-1". */
  readonly where: string;
}

const changed = (message: string, remedy?: string): MeridianError =>
  new MeridianError('ERR_MIGRATION_CHANGED', message, remedy === undefined ? {} : { remedy });

/** Throws ERR_MIGRATION_CHANGED when files and records disagree about the past. */
export function planMigrations({ applied, files, where }: PlanInput): MigrationPlan {
  const known = new Map(files.map((file) => [file.name, file]));
  for (const record of applied) {
    const file = known.get(record.name);
    if (file === undefined) {
      throw changed(
        `migration ${record.name} was applied in ${where} and its file is gone`,
        'Restore the file; undo its effect by a new migration.',
      );
    }
    if (file.checksum !== record.checksum) {
      throw changed(`${file.path} was changed after it was applied in ${where}`);
    }
  }
  const done = new Set(applied.map((record) => record.name));
  const pending = files.filter((file) => !done.has(file.name));
  const last = [...done].sort().at(-1);
  const early = pending.find((file) => last !== undefined && file.name < last);
  if (early !== undefined && last !== undefined) {
    throw changed(
      `${early.path} is new but sorts before ${last}, which is applied in ${where}`,
      `Give it a number above that of ${last}.`,
    );
  }
  return { pending };
}
