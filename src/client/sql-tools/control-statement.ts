/**
 * Reads the statements with which SQL tools control a transaction, since the library has to begin and
 * end it itself: BEGIN as drivers and ORMs spell it, COMMIT, ROLLBACK, savepoints. Anything else is the
 * database's. Pure.
 *
 * Every isolation level asked for becomes SERIALIZABLE, which gives all that a weaker one promises.
 */
import { tokenize } from '../../migrations/lexer.ts';

export type Control =
  /** `readOnly` undefined: not said. */
  | { readonly kind: 'begin'; readonly tag: 'BEGIN' | 'START'; readonly readOnly?: boolean }
  | { readonly kind: 'set-transaction'; readonly readOnly?: boolean }
  | { readonly kind: 'commit' }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'savepoint' | 'release' | 'rollback to'; readonly name: string }
  | { readonly kind: 'refused'; readonly sqlState: string; readonly why: string };

/** Cheap, and true for every text that may be one. */
const MAY_CONTROL =
  /^\s*(?:begin|start|commit|end|rollback|abort|savepoint|release|set|prepare|--|\/\*)/i;
const CONTROLS =
  /^(?:begin|start transaction|commit|end|rollback|abort|savepoint|release|prepare transaction|set transaction|set session characteristics)(?: |$)/;

const MODE =
  'isolation level (?:serializable|repeatable read|read committed|read uncommitted)|read write|read only|not deferrable|deferrable';
const MODES = `((?: (?:${MODE}))*)`;
const BEGIN = new RegExp(`^(?:begin(?: work| transaction)?|start transaction)${MODES}$`);
const SET = new RegExp(`^set transaction${MODES}$`);
const END = /^(?:commit|end)(?: work| transaction)?(?: and no chain)?$/;
const UNDO = /^(?:rollback|abort)(?: work| transaction)?(?: and no chain)?$/;
const MARK =
  /^(?:(savepoint)|(release)(?: savepoint)?|(rollback)(?: work| transaction)? to(?: savepoint)?) \?$/;
const NOT_HERE = /(?:\bprepared\b|^prepare transaction|\band chain$|^set session| snapshot )/;

/** Undefined: not about the transaction. */
export function controlOf(text: string): Control | undefined {
  if (!MAY_CONTROL.test(text)) return undefined;
  const tokens = tokenize(text).filter(({ kind }) => kind !== 'space' && kind !== 'comment');
  while (tokens.at(-1)?.kind === 'semicolon') tokens.pop();
  const spelled = tokens
    .map(({ kind, start, end }) => ({ kind, raw: text.slice(start, end) }))
    .filter(({ raw }) => raw !== ',')
    .map(({ kind, raw }) => (kind === 'word' ? raw.toLowerCase() : raw));
  const whole = spelled.join(' ');
  if (!CONTROLS.test(whole)) return undefined;
  if (tokens.some(({ kind }) => kind === 'semicolon')) {
    return refused('0A000', 'a statement that controls the transaction travels alone');
  }
  return plain(whole) ?? mark(spelled) ?? fault(whole);
}

function plain(whole: string): Control | undefined {
  const begin = BEGIN.exec(whole);
  if (begin !== null) {
    const tag = whole.startsWith('start') ? 'START' : 'BEGIN';
    return { kind: 'begin', tag, ...readOnlyIn(begin[1]) };
  }
  const set = SET.exec(whole);
  if (set !== null) return { kind: 'set-transaction', ...readOnlyIn(set[1]) };
  if (END.test(whole)) return { kind: 'commit' };
  return UNDO.test(whole) ? { kind: 'rollback' } : undefined;
}

/** The last mode that says so holds. */
function readOnlyIn(modes = ''): { readonly readOnly?: boolean } {
  const said = modes.match(/read only|read write/g)?.at(-1);
  return said === undefined ? {} : { readOnly: said === 'read only' };
}

function mark(spelled: readonly string[]): Control | undefined {
  const last = spelled.at(-1) ?? '';
  const found = MARK.exec([...spelled.slice(0, -1), '?'].join(' '));
  if (found === null || !/^(?:[a-z_\u0080-\uffff]|".+"$)/.test(last)) return undefined;
  const name = last.startsWith('"') ? last.slice(1, -1).replaceAll('""', '"') : last;
  if (found[1] !== undefined) return { kind: 'savepoint', name };
  return { kind: found[2] === undefined ? 'rollback to' : 'release', name };
}

function fault(whole: string): Control {
  return NOT_HERE.test(whole)
    ? refused('0A000', `not available through the library: ${whole.slice(0, 60)}`)
    : refused('42601', `not understood as control of a transaction: ${whole.slice(0, 60)}`);
}

function refused(sqlState: string, why: string): Control {
  return { kind: 'refused', sqlState, why };
}
