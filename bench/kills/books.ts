/**
 * What every account must hold: the acknowledged rows, those that may be there because nobody knows what
 * became of them, and no others. Pure.
 *
 * Rows are looked for twice: when they are new, and after the kills that followed. Then they are
 * retired, deleted by whoever keeps the books, so that a run of any length needs no more room; one that
 * comes back is a deletion that was lost.
 */
export interface AccountBook {
  readonly account: string;
  readonly group: string;
}

export interface Finding {
  /**
   * 'lost': acknowledged, and not there. 'uninvited': there, though it was refused with the promise that
   * nothing had happened, or deleted.
   */
  readonly kind: 'lost' | 'uninvited';
  readonly account: string;
  readonly group: string;
  readonly id: string;
  /** When it was acknowledged; null of one that never was. */
  readonly acknowledgedAtMs: number | null;
}

export interface Comparison {
  readonly findings: readonly Finding[];
  /** Rows that were looked for. */
  readonly compared: number;
  /** Of unknown outcome, and there. */
  readonly doubtsApplied: number;
  /** Rows to be deleted now. */
  readonly retired: readonly string[];
}

interface Pages {
  readonly book: AccountBook;
  /** Row → when it was acknowledged. */
  current: Map<string, number>;
  previous: Map<string, number>;
  /** Few: one for each writer and kill, at most. */
  readonly doubts: Set<string>;
}

export class Books {
  readonly #pages: ReadonlyMap<string, Pages>;

  constructor(accounts: readonly AccountBook[]) {
    this.#pages = new Map(
      accounts.map((book) => [
        book.account,
        { book, current: new Map(), previous: new Map(), doubts: new Set() },
      ]),
    );
  }

  acknowledge(account: string, id: string, atMs: number): void {
    this.#of(account).current.set(id, atMs);
  }

  doubt(account: string, id: string): void {
    this.#of(account).doubts.add(id);
  }

  /** With all rows of an account, read while nobody writes. Turns the page. */
  compare(account: string, present: ReadonlySet<string>): Comparison {
    const pages = this.#of(account);
    const { book, current, previous, doubts } = pages;
    const found = (kind: Finding['kind'], id: string, atMs: number | null): Finding => ({
      ...book,
      ...{ kind, id, acknowledgedAtMs: atMs },
    });
    const wanted = [...previous, ...current];
    const lost = wanted
      .filter(([id]) => !present.has(id))
      .map(([id, atMs]) => found('lost', id, atMs));
    const uninvited = [...present]
      .filter((id) => !current.has(id) && !previous.has(id) && !doubts.has(id))
      .map((id) => found('uninvited', id, null));
    const retired = [...present].filter((id) => !current.has(id));
    const doubtsApplied = retired.filter((id) => doubts.has(id) && !previous.has(id)).length;
    pages.previous = current;
    pages.current = new Map();
    return { findings: [...lost, ...uninvited], compared: wanted.length, doubtsApplied, retired };
  }

  #of(account: string): Pages {
    const pages = this.#pages.get(account);
    if (pages === undefined) throw new Error(`${account} has no book`);
    return pages;
  }
}
