/**
 * Splits a migration into its statements, each with the line it begins at, and refuses what cannot run
 * inside the one transaction that a migration shares with its record. A semicolon ends a statement
 * only outside quotes, comments, parentheses and BEGIN ATOMIC bodies: psql's rules. Pure.
 */
import { MeridianError } from '../kernel/errors.ts';
import { tokenize, type Token } from './lexer.ts';

export interface Statement {
  /** From its first word to its last, without the semicolon. */
  readonly text: string;
  /** In the file, from 1. */
  readonly line: number;
  /** Index of its first character in the file's text. */
  readonly offset: number;
  /** Cannot run in a transaction; it is its file's only statement. */
  readonly concurrently?: Concurrently;
}

export interface Concurrently {
  /** The same inside a transaction, locking what it works on: for empty schemas. */
  readonly inTransaction: string;
  /** The index that it makes, which a failure leaves behind invalid. */
  readonly index?: string;
}

/** The line of an index, from 1. Asked in rising order, it reads the text once. */
function lineFinder(text: string): (index: number) => number {
  let line = 1;
  let read = 0;
  return (index) => {
    line += text.slice(read, index).match(/\r\n|\n|\r/g)?.length ?? 0;
    read = index;
    return line;
  };
}

const isMeaning = (token: Token): boolean => token.kind !== 'space' && token.kind !== 'comment';

/** Depth of BEGIN … END bodies in CREATE FUNCTION and PROCEDURE, kept as psql keeps it. */
class BodyDepth {
  #leading: string[] = [];
  #depth = 0;

  get inside(): boolean {
    return this.#depth > 0;
  }

  reset(): void {
    this.#leading = [];
    this.#depth = 0;
  }

  word(word: string): void {
    if (this.#leading.length < 4) this.#leading.push(word);
    const creates = /^create (?:or replace )?(?:function|procedure)\b/;
    if (!creates.test(this.#leading.join(' '))) return;
    if (word === 'begin') this.#depth += 1;
    // CASE ends with END too.
    else if (word === 'case' && this.#depth > 0) this.#depth += 1;
    else if (word === 'end' && this.#depth > 0) this.#depth -= 1;
  }
}

/** The tokens of each statement: comments and space around it left out, semicolon too. */
function groupTokens(text: string, tokens: readonly Token[]): Token[][] {
  const statements: Token[][] = [];
  const body = new BodyDepth();
  let current: Token[] = [];
  let parentheses = 0;
  const finish = (): void => {
    const last = current.findLastIndex(isMeaning);
    if (last >= 0) statements.push(current.slice(0, last + 1));
    current = [];
    parentheses = 0;
    body.reset();
  };
  for (const token of tokens) {
    if (token.kind === 'semicolon' && parentheses === 0 && !body.inside) {
      finish();
      continue;
    }
    if (token.kind === 'open') parentheses += 1;
    if (token.kind === 'close' && parentheses > 0) parentheses -= 1;
    if (token.kind === 'word' && parentheses === 0) {
      body.word(text.slice(token.start, token.end).toLowerCase());
    }
    if (current.length > 0 || isMeaning(token)) current.push(token);
  }
  finish();
  return statements;
}

interface Refusal {
  readonly token: Token;
  readonly what: string;
  readonly remedy: string;
}

const TRANSACTION_CONTROL =
  /^(?:begin|commit|rollback|abort|end|savepoint|release|start transaction|prepare transaction)\b/;

/** A crash between the statement and its record makes it run once more. */
const REPEATABLE =
  /^(?:create (?:unique )?index concurrently if not exists|drop index concurrently if exists)\b/;

function refuseStatement(
  text: string,
  tokens: readonly Token[],
  alone: boolean,
): Refusal | undefined {
  const words = tokens.filter((token) => token.kind === 'word');
  const [first] = words;
  if (first === undefined || first !== tokens[0]) return undefined;
  const spelled = words.map((token) => text.slice(token.start, token.end).toLowerCase());
  const leading = spelled.slice(0, 2).join(' ');
  const control = TRANSACTION_CONTROL.exec(leading)?.[0];
  if (control !== undefined) {
    return {
      token: first,
      what: `${control.toUpperCase()} controls the transaction`,
      remedy: 'Remove it: each migration runs in one transaction together with its record.',
    };
  }
  const concurrently = words[spelled.indexOf('concurrently')];
  if (concurrently !== undefined && /^(?:create|drop|reindex|alter)\b/.test(leading)) {
    if (!REPEATABLE.test(spelled.join(' '))) {
      return {
        token: concurrently,
        what: 'CONCURRENTLY runs outside a transaction, and must bear being run again',
        remedy:
          'Write CREATE INDEX CONCURRENTLY IF NOT EXISTS name ON …, or DROP INDEX CONCURRENTLY IF EXISTS name.',
      };
    }
    if (!alone) {
      return {
        token: concurrently,
        what: 'CONCURRENTLY runs outside a transaction, and the rest of the file inside one',
        remedy: 'Give it a migration of its own.',
      };
    }
  }
  if (spelled[0] === 'copy' && /\bfrom stdin\b/.test(spelled.join(' '))) {
    return {
      token: first,
      what: 'COPY … FROM STDIN needs data that a migration cannot carry',
      remedy: 'Write the rows as INSERT … VALUES.',
    };
  }
  return undefined;
}

function refuseToken(token: Token): Refusal | undefined {
  if (token.unterminated === true) {
    return {
      token,
      what: token.kind === 'comment' ? 'this comment never ends' : 'this quote never ends',
      remedy: 'Close it.',
    };
  }
  if (token.kind !== 'backslash') return undefined;
  return {
    token,
    what: 'a backslash outside quotes begins a psql command, which the server does not know',
    remedy: 'Write plain SQL instead.',
  };
}

/** `file` is for messages. Throws ERR_MIGRATION_INVALID naming file and line. */
export function splitStatements(text: string, file: string): Statement[] {
  const refuse = (refusal: Refusal | undefined): void => {
    if (refusal === undefined) return;
    const line = lineFinder(text)(refusal.token.start);
    throw new MeridianError('ERR_MIGRATION_INVALID', `${file}:${String(line)}: ${refusal.what}`, {
      remedy: refusal.remedy,
      details: { file, line },
    });
  };
  const tokens = tokenize(text);
  const lineAt = lineFinder(text);
  for (const token of tokens) refuse(refuseToken(token));
  return groupTokens(text, tokens).map((statement, _, all) => {
    refuse(refuseStatement(text, statement, all.length === 1));
    const start = statement[0]?.start ?? 0;
    const end = statement.at(-1)?.end ?? start;
    const whole = { text: text.slice(start, end), line: lineAt(start), offset: start };
    const concurrently = concurrentlyIn(text, statement);
    return concurrently === undefined ? whole : { ...whole, concurrently };
  });
}

function concurrentlyIn(text: string, tokens: readonly Token[]): Concurrently | undefined {
  const meaning = tokens.filter(isMeaning);
  const raw = meaning.map(({ start, end }) => text.slice(start, end));
  const words = raw.map((word) => word.toLowerCase());
  if (!REPEATABLE.test(words.slice(0, 7).join(' '))) return undefined;
  const at = words.indexOf('concurrently');
  const [first, word, last] = [meaning[0], meaning[at], meaning.at(-1)];
  const inTransaction =
    text.slice(first?.start, word?.start) + text.slice(word?.end, last?.end).trimStart();
  if (words[0] === 'drop') return { inTransaction };
  // CONCURRENTLY IF NOT EXISTS name
  const name = raw[at + 4] ?? '';
  const index = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : words[at + 4];
  return { inTransaction, ...(index === undefined ? {} : { index }) };
}
