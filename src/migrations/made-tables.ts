/**
 * Which tables migrations make, by their text alone: CREATE TABLE, less DROP TABLE, with renames. What
 * functions and DO blocks make is not seen. Pure.
 */
import { plainSql } from './lock-warnings.ts';
import type { MigrationFiles, MigrationScope } from './files.ts';

/** Table → scope; for a name made in both, the last. */
export function tablesMade(files: MigrationFiles): ReadonlyMap<string, MigrationScope> {
  const made = new Map<string, MigrationScope>();
  for (const { scope, statements } of [...files.database, ...files.regional]) {
    for (const { text } of statements) follow(made, scope, plainSql(text));
  }
  return made;
}

function follow(made: Map<string, MigrationScope>, scope: MigrationScope, plain: string): void {
  const created = /^create (?:unlogged )?table (?:if not exists )?([^\s(]+)/.exec(plain)?.[1];
  if (created !== undefined) {
    // Its partitions are parts of another table.
    if (!/^create .*? partition of /.test(plain)) made.set(created, scope);
    return;
  }
  const dropped = /^drop table (?:if exists )?([^;]+?)(?: cascade| restrict)?$/.exec(plain)?.[1];
  for (const name of dropped?.split(',') ?? []) made.delete(name.trim());
  const renamed = /^alter table (?:if exists )?(?:only )?(\S+) rename to (\S+)$/.exec(plain);
  const [, from = '', to = ''] = renamed ?? [];
  if (renamed !== null && made.delete(from)) made.set(to, scope);
}
