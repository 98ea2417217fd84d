/**
 * SQL tools write the default schema's name before every table (`REFERENCES "public"."users"`), and
 * mean by it "where the tables are". Here that is the range, or the schema of the global tables, which
 * the search path names; so the qualifier is taken away. Pure.
 *
 * Only as tools write it, quoted on both sides: who types public.name means the schema public.
 */
import { tokenize } from './lexer.ts';
import type { Statement } from './split.ts';

export function withoutPublic(statement: Statement): Statement {
  const { concurrently } = statement;
  return {
    ...statement,
    text: unqualified(statement.text),
    ...(concurrently === undefined
      ? {}
      : {
          concurrently: { ...concurrently, inTransaction: unqualified(concurrently.inTransaction) },
        }),
  };
}

function unqualified(text: string): string {
  if (!text.includes('"public"')) return text;
  const tokens = tokenize(text).map(({ start, end }) => text.slice(start, end));
  const kept = tokens.filter((token, index) => {
    const qualifies = (at: number): boolean =>
      tokens[at] === '"public"' && tokens[at + 1] === '.' && tokens[at + 2]?.[0] === '"';
    return !qualifies(index) && !(token === '.' && qualifies(index - 1));
  });
  return kept.join('');
}
