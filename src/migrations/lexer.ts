/**
 * Cuts PostgreSQL SQL text into tokens: just enough of the grammar to know what is inside quotes and
 * comments. Follows the server's own scanner (scan.l) with standard_conforming_strings on. Pure; the
 * tokens joined give the text back.
 */
export type TokenKind =
  | 'space'
  | 'comment'
  /** Unquoted: a keyword or a name. */
  | 'word'
  /** Any quoted thing: 'text', E'text', $$text$$, "name". */
  | 'quoted'
  | 'semicolon'
  | 'open'
  | 'close'
  | 'backslash'
  | 'other';

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** The text ended before the quote or comment did. */
  readonly unterminated?: true;
}

const isSpace = (c: string): boolean => /[ \t\n\r\f\v]/.test(c);
const isNewline = (c: string): boolean => c === '\n' || c === '\r';
const isWordStart = (c: string): boolean => /[A-Za-z_]/.test(c) || c > '\x7f';
const isWordPart = (c: string): boolean => isWordStart(c) || /[0-9$]/.test(c);

type End = { readonly end: number; readonly unterminated?: true };

const upTo = (text: string, index: number, needle: string): End => {
  const found = text.indexOf(needle, index);
  return found < 0 ? { end: text.length, unterminated: true } : { end: found + needle.length };
};

function endOfLineComment(text: string, start: number): number {
  let index = start;
  while (index < text.length && !isNewline(text.charAt(index))) index += 1;
  return index;
}

/** Nested, as in PostgreSQL (and unlike in C). */
function endOfBlockComment(text: string, start: number): End {
  let depth = 0;
  for (let index = start; index < text.length;) {
    const two = text.slice(index, index + 2);
    if (two === '/*') depth += 1;
    else if (two === '*/') depth -= 1;
    index += two === '/*' || two === '*/' ? 2 : 1;
    if (depth === 0) return { end: index };
  }
  return { end: text.length, unterminated: true };
}

/** After a closing quote: where the next part opens, when white space with a newline joins them. */
function continuation(text: string, start: number): number | undefined {
  let index = start;
  let newline = false;
  while (index < text.length) {
    const c = text.charAt(index);
    if (c === "'") return newline ? index : undefined;
    if (isSpace(c)) {
      newline ||= isNewline(c);
      index += 1;
    } else if (text.startsWith('--', index)) {
      index = endOfLineComment(text, index);
    } else {
      return undefined;
    }
  }
  return undefined;
}

/** `open` is the index of the opening quote. Backslash escapes only in E'' strings. */
function endOfString(text: string, open: number, escapes: boolean): End {
  let index = open + 1;
  while (index < text.length) {
    const c = text.charAt(index);
    if (escapes && c === '\\') index += 2;
    else if (c !== "'") index += 1;
    else if (text.charAt(index + 1) === "'") index += 2;
    else {
      // A continued E'' string keeps its escapes; a plain one may as well be two tokens.
      const next = escapes ? continuation(text, index + 1) : undefined;
      if (next === undefined) return { end: index + 1 };
      index = next + 1;
    }
  }
  return { end: text.length, unterminated: true };
}

function endOfQuotedName(text: string, open: number): End {
  let found = upTo(text, open + 1, '"');
  // "" inside is one quote of the name.
  while (found.unterminated !== true && text.charAt(found.end) === '"') {
    found = upTo(text, found.end + 1, '"');
  }
  return found;
}

function endOfDollarQuote(text: string, start: number): End | undefined {
  let index = start + 1;
  if (isWordStart(text.charAt(index))) {
    while (isWordPart(text.charAt(index)) && text.charAt(index) !== '$') index += 1;
  }
  if (text.charAt(index) !== '$') return undefined;
  const tag = text.slice(start, index + 1);
  return upTo(text, index + 1, tag);
}

function endWhile(text: string, start: number, matches: (c: string) => boolean): number {
  let index = start;
  while (index < text.length && matches(text.charAt(index))) index += 1;
  return index;
}

const SINGLE: Readonly<Record<string, TokenKind>> = {
  ';': 'semicolon',
  '(': 'open',
  ')': 'close',
  '\\': 'backslash',
};

type Scanned = End & { readonly kind: TokenKind };

function scan(text: string, start: number): Scanned {
  const c = text.charAt(start);
  const two = text.slice(start, start + 2);
  if (isSpace(c)) return { kind: 'space', end: endWhile(text, start, isSpace) };
  if (two === '--') return { kind: 'comment', end: endOfLineComment(text, start) };
  if (two === '/*') return { kind: 'comment', ...endOfBlockComment(text, start) };
  if (c === "'") return { kind: 'quoted', ...endOfString(text, start, false) };
  if (two === "e'" || two === "E'")
    return { kind: 'quoted', ...endOfString(text, start + 1, true) };
  if (c === '"') return { kind: 'quoted', ...endOfQuotedName(text, start) };
  if (c === '$') {
    const quoted = endOfDollarQuote(text, start);
    return quoted === undefined ? { kind: 'other', end: start + 1 } : { kind: 'quoted', ...quoted };
  }
  if (isWordStart(c)) return { kind: 'word', end: endWhile(text, start, isWordPart) };
  return { kind: SINGLE[c] ?? 'other', end: start + 1 };
}

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (let start = 0; start < text.length;) {
    const { kind, end, unterminated } = scan(text, start);
    const stop = Math.min(end, text.length);
    tokens.push({ kind, start, end: stop, ...(unterminated === true ? { unterminated } : {}) });
    start = stop;
  }
  return tokens;
}
