/**
 * The driver's own books: what each account must hold if the bank told the truth. Pure; verify.ts
 * reads what SQL holds, `compare` says where the two differ.
 *
 * A request ends in one of three ways here:
 *   acknowledged   the answer said what it did; it must be in SQL exactly once, with those deltas
 *   without effect the answer said that nothing happened; it must not be in SQL
 *   unknown        no answer, or one that doesn't know; it may be in SQL once, in all its accounts or
 *                  in none
 *
 * Grows by one record per write; a run's length is bounded by memory (about 300 bytes each).
 */
export interface AppliedDeltas {
  readonly account: string;
  readonly savingsDelta: number;
  readonly checkingDelta: number;
}

export interface ObservedEntry {
  readonly requestId: string;
  readonly savingsDelta: number;
  readonly checkingDelta: number;
}

/** What SQL says about one account. */
export interface ObservedAccount {
  readonly savings: number;
  readonly checking: number;
  readonly entries: readonly ObservedEntry[];
}

export type MismatchKind =
  /** Acknowledged, and not journalled. */
  | 'lost'
  /** Journalled more than once. */
  | 'doubled'
  /** Journalled with other deltas than acknowledged. */
  | 'altered'
  /** Journalled, and never acknowledged: refused, or not even sent to this account. */
  | 'uninvited'
  /** Of unknown outcome, and journalled in only one of its accounts. */
  | 'torn'
  /** A balance that is not the sum of what the driver knows. */
  | 'balance'
  /** A balance that is not the sum of the account's own entries. */
  | 'journal'
  /** Could not be read. */
  | 'unreadable';

export interface Mismatch {
  readonly account: string;
  readonly kind: MismatchKind;
  readonly detail: string;
}

export interface Comparison {
  readonly accounts: number;
  readonly mismatches: readonly Mismatch[];
  /** Requests of unknown outcome that SQL knows, and that it doesn't. */
  readonly unknownApplied: number;
  readonly unknownAbsent: number;
}

interface Book {
  savings: number;
  checking: number;
  readonly acknowledged: Map<string, AppliedDeltas>;
  readonly unknown: Set<string>;
}

export class Ledger {
  readonly #books = new Map<string, Book>();
  /** The accounts of each request of unknown outcome. */
  readonly #unknown = new Map<string, readonly string[]>();

  /** An account begins with the balances of its opening request. */
  open(opening: AppliedDeltas, requestId: string): void {
    const { account } = opening;
    if (this.#books.has(account)) throw new Error(`account ${account} is in the ledger already`);
    this.#books.set(account, {
      savings: 0,
      checking: 0,
      acknowledged: new Map(),
      unknown: new Set(),
    });
    this.acknowledge(requestId, [opening]);
  }

  acknowledge(requestId: string, applied: readonly AppliedDeltas[]): void {
    for (const deltas of applied) {
      const book = this.#book(deltas.account);
      if (book.acknowledged.has(requestId)) throw new Error(`${requestId} is acknowledged already`);
      book.acknowledged.set(requestId, deltas);
      book.savings += deltas.savingsDelta;
      book.checking += deltas.checkingDelta;
    }
  }

  doubt(requestId: string, accounts: readonly string[]): void {
    this.#unknown.set(requestId, accounts);
    for (const account of accounts) this.#book(account).unknown.add(requestId);
  }

  accounts(): string[] {
    return [...this.#books.keys()];
  }

  /** The balances after every acknowledged request. */
  expected(account: string): { readonly savings: number; readonly checking: number } {
    const { savings, checking } = this.#book(account);
    return { savings, checking };
  }

  /** Has the account a request of unknown outcome? Then `expected` is a guess. */
  doubtful(account: string): boolean {
    return this.#book(account).unknown.size > 0;
  }

  compare(observed: ReadonlyMap<string, ObservedAccount>): Comparison {
    const mismatches: Mismatch[] = [];
    for (const [account, book] of this.#books) {
      const seen = observed.get(account);
      if (seen === undefined) {
        mismatches.push({ account, kind: 'unreadable', detail: 'no answer from its leader' });
      } else {
        mismatches.push(...compareAccount(account, book, seen));
      }
    }
    const unknown = this.#compareUnknown(observed);
    return {
      accounts: this.#books.size,
      mismatches: [...mismatches, ...unknown.torn],
      unknownApplied: unknown.applied,
      unknownAbsent: unknown.absent,
    };
  }

  #compareUnknown(observed: ReadonlyMap<string, ObservedAccount>): {
    torn: Mismatch[];
    applied: number;
    absent: number;
  } {
    const torn: Mismatch[] = [];
    let applied = 0;
    let absent = 0;
    const journalled = (account: string, requestId: string): boolean =>
      observed.get(account)?.entries.some((entry) => entry.requestId === requestId) === true;
    for (const [requestId, accounts] of this.#unknown) {
      const having = accounts.filter((account) => journalled(account, requestId));
      if (having.length === 0) absent += 1;
      else applied += 1;
      const lacking = accounts.find((account) => !having.includes(account));
      if (having.length > 0 && lacking !== undefined) {
        const detail = `${requestId} is in ${having.join(', ')} only`;
        torn.push({ account: lacking, kind: 'torn', detail });
      }
    }
    return { torn, applied, absent };
  }

  #book(account: string): Book {
    const book = this.#books.get(account);
    if (book === undefined) throw new Error(`account ${account} is not in the ledger`);
    return book;
  }
}

function compareAccount(account: string, book: Book, seen: ObservedAccount): Mismatch[] {
  const found: Mismatch[] = [];
  const report = (kind: MismatchKind, detail: string): void => {
    found.push({ account, kind, detail });
  };
  const byRequest = new Map<string, ObservedEntry>();
  const journal = { savings: 0, checking: 0 };
  const wanted = { savings: book.savings, checking: book.checking };
  for (const entry of seen.entries) {
    journal.savings += entry.savingsDelta;
    journal.checking += entry.checkingDelta;
    if (byRequest.has(entry.requestId)) {
      report('doubled', `${entry.requestId} again with ${format(entry)}`);
      continue;
    }
    byRequest.set(entry.requestId, entry);
    const known = book.acknowledged.get(entry.requestId);
    if (known !== undefined) {
      const same =
        known.savingsDelta === entry.savingsDelta && known.checkingDelta === entry.checkingDelta;
      if (!same) report('altered', `${entry.requestId} is ${format(entry)}, not ${format(known)}`);
    } else if (book.unknown.has(entry.requestId)) {
      wanted.savings += entry.savingsDelta;
      wanted.checking += entry.checkingDelta;
    } else {
      report('uninvited', `${entry.requestId} with ${format(entry)}`);
    }
  }
  for (const [requestId, deltas] of book.acknowledged) {
    if (!byRequest.has(requestId)) report('lost', `${requestId} with ${format(deltas)}`);
  }
  for (const side of ['savings', 'checking'] as const) {
    const holds = `${side} holds ${String(seen[side])}`;
    if (seen[side] !== wanted[side]) report('balance', `${holds}, not ${String(wanted[side])}`);
    if (seen[side] !== journal[side]) {
      report('journal', `${holds}, its entries say ${String(journal[side])}`);
    }
  }
  return found;
}

function format(deltas: Omit<ObservedEntry, 'requestId'>): string {
  return `savings ${String(deltas.savingsDelta)}, checking ${String(deltas.checkingDelta)}`;
}
