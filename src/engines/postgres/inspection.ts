/**
 * Looks at a statement's text before it is sent: would it end the transaction that the library holds,
 * change whose rows it sees, or leave something behind on a pooled connection? Pure; answers are kept,
 * bounded, since an application has few texts and sends them often.
 *
 * It reads words, not grammar, with the server's own rules for quotes and comments: every semicolon outside
 * of them begins a statement. So it stops mistakes and careless concatenation. It does not stop SQL
 * that builds such a statement from parts on the server: rights and the checks of `enter` do what
 * can be done about that (docs/decisions/0007).
 */
import { LRUCache } from 'lru-cache';
import { tokenize } from '../../migrations/lexer.ts';

export interface Refusal {
  readonly what: string;
  readonly remedy: string;
}

export interface Inspection {
  /** It must not be sent. */
  readonly refusal: Refusal | undefined;
  /** The connection is not as it was: it must not serve another transaction. */
  readonly soils: boolean;
  /** Search path or account may have changed: they are set again before the next statement. */
  readonly unsettles: boolean;
  /** It may set a time limit of its own. */
  readonly limits: boolean;
}

const TEXTS_MAX = 1_000;
/** Longer ones hold values, and do not come again. */
const TEXT_LENGTH_MAX = 4_096;

const answers = new LRUCache<string, Inspection>({ max: TEXTS_MAX });

export function inspect(text: string): Inspection {
  const known = answers.get(text);
  if (known !== undefined) return known;
  const answer = { ...inspectText(text), limits: /statement_timeout/i.test(text) };
  if (text.length <= TEXT_LENGTH_MAX) answers.set(text, answer);
  return answer;
}

/** One thing that means something: no space, no comment. */
interface Part {
  /** 'word' as it stands, 'name' in double quotes, 'text' in plain quotes or dollars. */
  readonly kind: 'word' | 'name' | 'text' | 'escaped' | 'sign';
  /** Without its quotes; words in lower case. */
  readonly value: string;
}

type Found = Omit<Inspection, 'limits'>;

const HARMLESS: Found = { refusal: undefined, soils: false, unsettles: false };
const SOILS: Found = { ...HARMLESS, soils: true };
const UNSETTLES: Found = { ...HARMLESS, unsettles: true };
const CHANGES: Found = { refusal: undefined, soils: true, unsettles: true };

const refuse = (what: string, remedy: string): Found => ({
  ...HARMLESS,
  refusal: { what, remedy },
});

function inspectText(text: string): Found {
  let soils = false;
  let unsettles = false;
  for (const statement of statementsOf(text)) {
    for (const found of [byFirstWord(statement), byNames(statement)]) {
      if (found.refusal !== undefined) return found;
      soils ||= found.soils;
      unsettles ||= found.unsettles;
    }
  }
  if (!soils) return unsettles ? UNSETTLES : HARMLESS;
  return unsettles ? CHANGES : SOILS;
}

function statementsOf(text: string): Part[][] {
  const statements: Part[][] = [[]];
  for (const { kind, start, end } of tokenize(text)) {
    if (kind === 'space' || kind === 'comment') continue;
    if (kind === 'semicolon') statements.push([]);
    else statements.at(-1)?.push(partOf(kind === 'word', text.slice(start, end)));
  }
  return statements.filter((parts) => parts.length > 0);
}

function partOf(isWord: boolean, raw: string): Part {
  if (isWord) return { kind: 'word', value: raw.toLowerCase() };
  if (raw.startsWith('"')) return { kind: 'name', value: raw.slice(1, -1).replaceAll('""', '"') };
  if (raw.startsWith("'")) return { kind: 'text', value: raw.slice(1, -1).replaceAll("''", "'") };
  if (raw.startsWith('$') && raw.length > 1) {
    const tag = raw.indexOf('$', 1) + 1;
    return { kind: 'text', value: raw.slice(tag, -tag) };
  }
  return { kind: raw.length > 1 ? 'escaped' : 'sign', value: raw };
}

const LIBRARY_ENDS =
  'Return from the transaction function to commit and throw to roll back; savepoints may be used inside.';
const LIBRARY_SETS = 'Leave it to the library, which sets it for each transaction.';

function control(parts: readonly Part[]): Found {
  const words = parts.slice(0, 2).map((part) => part.value.toUpperCase());
  return refuse(`${words.join(' ')} would end or change the transaction`, LIBRARY_ENDS);
}

function byFirstWord(parts: readonly Part[]): Found {
  const [first, second] = parts;
  if (first?.kind !== 'word') return HARMLESS;
  switch (first.value) {
    case 'begin':
    case 'start':
    case 'commit':
    case 'end':
    case 'abort':
      return control(parts);
    case 'rollback':
      return rollback(parts);
    case 'prepare':
      return second?.value === 'transaction' ? control(parts) : SOILS;
    case 'set':
      return setting(parts.slice(1));
    case 'reset':
      return second?.value === 'all' ? CHANGES : setting(parts.slice(1));
    case 'deallocate':
      return deallocate(parts.slice(1));
    case 'listen':
    case 'unlisten':
    case 'load':
      return SOILS;
    case 'declare':
      return parts.some((part) => part.kind === 'word' && part.value === 'hold') ? SOILS : HARMLESS;
    case 'discard':
      return second?.value === 'all' ? fixed('the whole session') : CHANGES;
    case 'call':
      return CHANGES;
    case 'do':
      return block(parts);
    case 'alter':
      return alter(second);
    default:
      return HARMLESS;
  }
}

/** The driver relies on its own statements: their names begin alike. */
function deallocate(after: readonly Part[]): Found {
  const name = after.at(-1);
  const all = name?.kind === 'word' && name.value === 'all';
  return all || name?.value.startsWith('meridian_') === true
    ? fixed("the driver's prepared statements")
    : SOILS;
}

function rollback(parts: readonly Part[]): Found {
  const noise = parts[1]?.value === 'work' || parts[1]?.value === 'transaction';
  // Settings made since the savepoint are undone with the rest.
  return parts[noise ? 2 : 1]?.value === 'to' ? UNSETTLES : control(parts);
}

/** What the library or the fence relies on. */
const FIXED =
  /^(?:meridian(?:\..*)?|search_path|schema|role|session_authorization|standard_conforming_strings|transaction_\w+)$/i;

/** After SET or RESET. */
function setting(after: readonly Part[]): Found {
  const [first, second] = after;
  const local = first?.kind === 'word' && first.value === 'local';
  const session = first?.kind === 'word' && first.value === 'session';
  if (session && second?.value === 'characteristics') return control([...after]);
  if (session && second?.value === 'authorization') return fixed('session_authorization');
  const named = local || session ? after.slice(1) : after;
  if (named[0]?.value === 'session') return fixed('session_authorization');
  if (named[0]?.kind === 'word' && named[0].value === 'transaction') return control([...named]);
  if (named[0]?.kind === 'word' && named[0].value === 'constraints') return HARMLESS;
  const end = named.findIndex((part) => part.value === '=' || part.value === 'to');
  const name = named
    .slice(0, end < 0 ? undefined : end)
    .map((part) => part.value)
    .join('');
  // SET ROLE and SET SCHEMA need no equals sign.
  const leading = named[0]?.value ?? '';
  if (FIXED.test(name) || FIXED.test(leading)) return fixed(leading);
  return local ? HARMLESS : SOILS;
}

function fixed(name: string): Found {
  return refuse(`${name} is the library's to set`, LIBRARY_SETS);
}

/** Its body is a program that is not read here; what it names is a hint of what it does. */
function block(parts: readonly Part[]): Found {
  const names = parts.some((part) => /\bmeridian\b|\bset_config\b/i.test(part.value));
  return names ? fixed('what this block names') : CHANGES;
}

function alter(what: Part | undefined): Found {
  if (!/^(?:role|user|group|database|system)$/.test(what?.value ?? '')) return HARMLESS;
  return refuse(
    `ALTER ${what?.value.toUpperCase() ?? ''} changes every later connection`,
    'Change roles and databases outside of the application.',
  );
}

const SESSION_LOCK = /^pg_(?:try_)?advisory_(?:lock|lock_shared|unlock|unlock_shared|unlock_all)$/;
const ADMISSION = /^(?:enter|enter_replica|use_scope)$/;

/** Functions and views that do the same as a statement would. */
function byNames(parts: readonly Part[]): Found {
  let soils = false;
  for (const [index, { kind, value }] of parts.entries()) {
    if (kind !== 'word' && kind !== 'name') continue;
    const next = parts[index + 1];
    if (value === 'meridian' && next?.value === '.') {
      const name = parts[index + 2]?.value ?? '';
      if (ADMISSION.test(name)) return fixed(`meridian.${name}`);
    } else if (value === 'set_config' && next?.value === '(') {
      const found = configured(parts.slice(index + 2));
      if (found.refusal !== undefined) return found;
      soils ||= found.soils;
    } else if (value === 'pg_settings' && parts.some((part) => part.value === 'update')) {
      return refuse('an update of pg_settings sets what it names', 'Use SET LOCAL.');
    } else if (value === 'u' && next?.value === '&' && parts[index + 2]?.kind === 'name') {
      return refuse('a name with Unicode escapes hides what it names', 'Write the name itself.');
    } else {
      soils ||= SESSION_LOCK.test(value);
    }
  }
  return soils ? SOILS : HARMLESS;
}

/** The arguments of set_config: name, value, whether for the transaction alone. */
function configured(after: readonly Part[]): Found {
  const [name, comma] = after;
  if (name?.kind !== 'text' || comma?.value !== ',') {
    return refuse(
      'set_config is given a name that cannot be read here',
      "Write the setting's name as a literal.",
    );
  }
  if (FIXED.test(name.value)) return fixed(name.value);
  const last = after.slice(0, closing(after)).at(-1);
  return last?.kind === 'word' && last.value === 'true' ? HARMLESS : SOILS;
}

/** Where the parenthesis closes that was opened before. */
function closing(parts: readonly Part[]): number {
  let depth = 1;
  for (const [index, { kind, value }] of parts.entries()) {
    if (kind !== 'sign') continue;
    if (value === '(') depth += 1;
    if (value === ')') depth -= 1;
    if (depth === 0) return index;
  }
  return parts.length;
}
