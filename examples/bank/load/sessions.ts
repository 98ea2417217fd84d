/**
 * What each region's clients have seen of each account: their consistency tokens, and whether a read
 * with one has exactly one right answer. Pure.
 *
 * It has when the token includes every write to the account that ever began and none begins before
 * the answer: then the balances are those of the ledger. A token includes all earlier writes when its
 * own ran alone, from its start to its end. Concurrent writes make no claim; so a violation counted
 * here is one.
 */

interface Token {
  readonly token: string;
  /** Writes 1 to `includes` of the account, all of them; -1: not known. */
  readonly includes: number;
}

interface History {
  /** Writes begun, numbered from 1. */
  begun: number;
  inFlight: number;
  readonly tokens: Map<string, Token>;
}

export interface Write {
  readonly account: string;
  readonly number: number;
  readonly alone: boolean;
}

export type WriteEnd =
  | { readonly effect: 'committed'; readonly region: string; readonly token: string }
  | { readonly effect: 'none' | 'unknown' };

export interface TokenRead {
  readonly account: string;
  readonly token: string;
  /** The answer must equal the ledger, if `stillCertain` when it comes. */
  readonly certain: boolean;
  readonly begun: number;
}

export class Sessions {
  readonly #histories = new Map<string, History>();

  /** The clients of its home region opened the account. */
  open(account: string, opening: { readonly region: string; readonly token: string }): void {
    const tokens = new Map([[opening.region, { token: opening.token, includes: 0 }]]);
    this.#histories.set(account, { begun: 0, inFlight: 0, tokens });
  }

  beginWrite(account: string): Write {
    const history = this.#history(account);
    history.begun += 1;
    const alone = history.inFlight === 0;
    history.inFlight += 1;
    return { account, number: history.begun, alone };
  }

  endWrite(write: Write, end: WriteEnd): void {
    const history = this.#history(write.account);
    history.inFlight -= 1;
    const alone = write.alone && history.begun === write.number;
    if (end.effect === 'committed') {
      const includes = alone ? write.number : -1;
      history.tokens.set(end.region, { token: end.token, includes });
    } else if (end.effect === 'none' && alone) {
      // Nothing happened: who had seen all before has seen all now.
      for (const [region, known] of history.tokens) {
        if (known.includes === write.number - 1) {
          history.tokens.set(region, { ...known, includes: write.number });
        }
      }
    }
  }

  /** Undefined: this region's clients have no token for the account. */
  beginRead(account: string, region: string): TokenRead | undefined {
    const history = this.#history(account);
    const known = history.tokens.get(region);
    if (known === undefined) return undefined;
    const certain = history.inFlight === 0 && known.includes === history.begun;
    return { account, token: known.token, certain, begun: history.begun };
  }

  stillCertain(read: TokenRead): boolean {
    return read.certain && this.#history(read.account).begun === read.begun;
  }

  #history(account: string): History {
    const history = this.#histories.get(account);
    if (history === undefined) throw new Error(`account ${account} was not opened`);
    return history;
  }
}
