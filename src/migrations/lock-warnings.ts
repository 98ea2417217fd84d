/**
 * Which statements of pending migrations would lock a table for as long as it is large, or break what
 * the version of the application before still does; each with what to do instead. Pure: reads the text,
 * not the database, so it warns of small tables too. Tables that the same files make are exempt.
 *
 * By the manual of PostgreSQL 18: ALTER TABLE, CREATE INDEX, and the levels of explicit locking.
 */
import type { MigrationFile } from './files.ts';
import { tokenize } from './lexer.ts';

export interface LockWarning {
  readonly what: string;
  readonly remedy: string;
}

export interface PlacedWarning {
  /** The file's path, for messages. */
  readonly file: string;
  readonly line: number;
  readonly warning: LockWarning;
}

interface Rule extends LockWarning {
  readonly applies: (statement: string) => boolean;
}

const matches =
  (pattern: RegExp, unless?: RegExp) =>
  (statement: string): boolean =>
    pattern.test(statement) && unless?.test(statement) !== true;

/** Statements as `plainSql` spells them: lower case, single spaces, texts as ?. */
const RULES: readonly Rule[] = [
  {
    applies: matches(/^create (?:unique )?index /, /^create (?:unique )?index concurrently /),
    what: 'CREATE INDEX keeps writes out of the table until it is built',
    remedy: 'Write CREATE INDEX CONCURRENTLY IF NOT EXISTS, in a migration of its own.',
  },
  {
    applies: matches(/^drop index /, /^drop index concurrently /),
    what: 'DROP INDEX waits for all queries on the table, and holds up those behind it',
    remedy: 'Write DROP INDEX CONCURRENTLY IF EXISTS, in a migration of its own.',
  },
  {
    applies: matches(
      /^alter table .* add (?:column )?(?!constraint ).*\b(?:default (?:\( ?)?(?:random|gen_random_uuid|uuidv7|uuidv4|uuid_generate_v4|clock_timestamp|timeofday|nextval) ?\(|generated always as \(.* stored|(?:small|big)?serial\b|generated (?:always|by default) as identity)/,
    ),
    what: 'ADD COLUMN with a default of its own for each row writes the whole table anew',
    remedy: 'Add the column without it, set the default, then fill old rows in small steps.',
  },
  {
    applies: matches(/^alter table .* alter (?:column )?\S+ (?:set data )?type /),
    what: 'a change of type writes the whole table and its indexes anew, unless the old bytes fit',
    remedy: 'Add a column of the new type, write both, fill it, then let readers change over.',
  },
  {
    applies: matches(/^alter table .* set not null/),
    what: 'SET NOT NULL reads the whole table under a lock against everybody',
    remedy:
      'First ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID, then VALIDATE CONSTRAINT in the next migration; SET NOT NULL is then quick.',
  },
  {
    applies: matches(
      /^alter table .* add (?:constraint \S+ )?(?:foreign key|check)\b|^alter table .* add (?:column )?(?!constraint ).* references /,
      /\bnot valid\b/,
    ),
    what: 'a new constraint is checked for every row under a lock',
    remedy: 'Add it NOT VALID, and VALIDATE CONSTRAINT in the next migration.',
  },
  {
    applies: matches(
      /^alter table .* add (?:constraint \S+ )?(?:unique|primary key|exclude)\b/,
      / using index /,
    ),
    what: 'a new key builds its index under a lock against everybody',
    remedy: 'CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT … USING INDEX.',
  },
  {
    applies: matches(
      /^alter table .* drop (?:column )?(?!(?:constraint|not null|default|expression|identity)\b)(?:if exists )?\S+/,
    ),
    what: 'copies of the application that still run may use the column',
    remedy: 'Drop it once no version that reads or writes it runs: expand first, contract later.',
  },
  {
    applies: matches(/^alter table .* rename /),
    what: 'copies of the application that still run use the old name',
    remedy: 'Add the new name beside the old one, move over, and drop the old one later.',
  },
  {
    applies: matches(/^(?:drop table|truncate) /),
    what: 'copies of the application that still run may use the table, and its rows are gone',
    remedy: 'Do it once no version that uses the table runs.',
  },
  {
    applies: matches(
      /^(?:vacuum \(?.*\bfull\b|cluster\b|reindex |refresh materialized view (?!concurrently ))/,
    ),
    what: 'this rewrites a whole table or index under a lock against everybody',
    remedy: 'Leave it out of migrations, or do it when nobody is there.',
  },
  {
    applies: matches(/^lock /),
    what: 'LOCK keeps others out until the whole migration is done',
    remedy: 'Leave it out: each statement takes the lock that it needs.',
  },
  {
    applies: matches(/^alter table .* (?:set (?:un)?logged|set tablespace)\b/),
    what: 'this writes the whole table anew under a lock against everybody',
    remedy: 'Make a new table, copy in small steps, and move over.',
  },
];

/** In the order of files and statements; at most one warning of a kind for each statement. */
export function lockWarnings(pending: readonly MigrationFile[]): PlacedWarning[] {
  const made = new Set<string>();
  return pending.flatMap((file) =>
    file.statements.flatMap(({ text, line }): PlacedWarning[] => {
      const plain = plainSql(text);
      const table = /^create table (?:if not exists )?(\S+)/.exec(plain)?.[1];
      if (table !== undefined) made.add(table);
      const of = tableOf(plain);
      if (of !== undefined && made.has(of)) return [];
      return RULES.filter(({ applies }) => applies(plain)).map(({ what, remedy }) => ({
        ...{ file: file.path, line, warning: { what, remedy } },
      }));
    }),
  );
}

/** Whom the statement locks, where its text says so. */
function tableOf(plain: string): string | undefined {
  const named =
    /^(?:alter table|drop table|truncate(?: table)?|lock(?: table)?) (?:if exists )?(?:only )?([^\s(,]+)/.exec(
      plain,
    ) ?? /^create (?:unique )?index .*? ?on (?:only )?([^\s(]+)/.exec(plain);
  return named?.[1];
}

/** Lower case, one space between tokens that stood apart, no comments, texts replaced by ?. */
export function plainSql(text: string): string {
  return tokenize(text)
    .map(({ kind, start, end }) => {
      const raw = text.slice(start, end);
      if (kind === 'space' || kind === 'comment') return ' ';
      if (kind !== 'quoted') return raw.toLowerCase();
      // A quoted name that needs no quotes is the same name without them.
      if (/^"[a-z_][a-z0-9_]*"$/.test(raw)) return raw.slice(1, -1);
      return raw.startsWith('"') ? raw.replaceAll(/\s/g, '_') : '?';
    })
    .join('')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
