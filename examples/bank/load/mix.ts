/**
 * Which requests one region's clients send: SmallBank's transactions in BenchBase's published
 * weights, and beside them a share of balance reads and of reads of the global tables. Pure, seeded.
 *
 * The kinds come from a shuffled deck in which each is present in its exact share, again and again.
 * Drawn freely instead, a rare class would now and then fall short of the samples that a percentile
 * needs, in a run whose length was chosen to be just enough.
 */
import { seededRandom, shuffle, type Random } from './random.ts';

/** BenchBase, config/sample_smallbank_config.xml. */
export const SMALLBANK_WEIGHTS = {
  amalgamate: 15,
  balance: 15,
  'deposit-checking': 15,
  'send-payment': 25,
  'transact-savings': 15,
  'write-check': 15,
} as const;

export type SmallBankKind = keyof typeof SMALLBANK_WEIGHTS;
export type GlobalKind = 'currencies' | 'country';

/** One currency list for three country look-ups. */
const GLOBAL_WEIGHTS: Readonly<Record<GlobalKind, number>> = { currencies: 1, country: 3 };

/**
 * Means, in minor units. The four that BenchBase fixes (5.00, 1.30, 20.20, 5.00) are drawn around
 * those here: with one amount per kind, two ledger errors could cancel out unseen.
 */
const MEAN_AMOUNTS = {
  'deposit-checking': 130,
  'send-payment': 500,
  'transact-savings': 2020,
  'write-check': 500,
} as const;

const DECK_SIZE = 1_000;

interface Planned {
  /** Where the client is. */
  readonly region: string;
  /** The account's home is another region. Global reads have none: false. */
  readonly remote: boolean;
}

export type PlannedRequest =
  | (Planned & { readonly kind: 'balance'; readonly account: string; readonly useToken: boolean })
  | (Planned & { readonly kind: keyof typeof MEAN_AMOUNTS & OneAccount } & OneAccountWrite)
  | (Planned & { readonly kind: 'amalgamate'; readonly account: string; readonly to: string })
  | (Planned & { readonly kind: 'send-payment'; readonly to: string } & OneAccountWrite)
  | (Planned & { readonly kind: 'currencies' })
  | (Planned & { readonly kind: 'country'; readonly code: string });

type OneAccount = 'deposit-checking' | 'transact-savings' | 'write-check';

interface OneAccountWrite {
  readonly account: string;
  readonly amount: number;
}

/** What the figures are grouped by. */
export const REQUEST_CLASSES = [
  'local read',
  'local write',
  'remote write',
  'global read',
] as const;
export type RequestClass = (typeof REQUEST_CLASSES)[number];

/** A balance is answered in the client's region, wherever the account's home is. */
export function classOf(request: PlannedRequest): RequestClass {
  if (request.kind === 'currencies' || request.kind === 'country') return 'global read';
  if (request.kind === 'balance') return 'local read';
  return request.remote ? 'remote write' : 'local write';
}

export interface MixOptions {
  readonly seed: number;
  readonly region: string;
  /** Accounts by home region; at least two in each. */
  readonly accounts: Readonly<Record<string, readonly string[]>>;
  readonly countries: readonly string[];
  readonly globalShare: number;
  /** Balance reads on top of SmallBank's own, as a share of all requests. */
  readonly balanceShare: number;
  /** Share of account requests that go to accounts homed elsewhere. */
  readonly remoteShare: number;
  /** Share of balance reads that carry a consistency token. */
  readonly tokenShare: number;
}

interface Card {
  readonly kind: SmallBankKind | GlobalKind;
  readonly remote: boolean;
}

/** An endless supply of requests: each call gives the next. */
export function createMix(options: MixOptions): () => PlannedRequest {
  const random = seededRandom(options.seed, `mix/${options.region}`);
  const elsewhere = Object.keys(options.accounts).filter((region) => region !== options.region);
  const remoteShare = elsewhere.length === 0 ? 0 : options.remoteShare;
  const deck = buildDeck({ ...options, remoteShare });
  let position = deck.length;
  return () => {
    if (position === deck.length) {
      shuffle(deck, random);
      position = 0;
    }
    const card = deck[position] as Card;
    position += 1;
    return deal(card, card.remote ? pick(elsewhere, random) : options.region, { options, random });
  };
}

/** Each kind, local and remote, in its share; rounding goes to the largest remainders. */
export function buildDeck(
  options: Pick<MixOptions, 'globalShare' | 'balanceShare' | 'remoteShare'>,
): Card[] {
  const { globalShare, balanceShare, remoteShare } = options;
  const smallBankShare = 1 - globalShare - balanceShare;
  const cells: { card: Card; exact: number; count: number }[] = [];
  const add = (card: Card, share: number): void => {
    const exact = share * DECK_SIZE;
    cells.push({ card, exact, count: Math.floor(exact) });
  };
  for (const [kind, share] of shares(GLOBAL_WEIGHTS)) {
    add({ kind, remote: false }, globalShare * share);
  }
  const addAccount = (kind: SmallBankKind, share: number): void => {
    add({ kind, remote: false }, share * (1 - remoteShare));
    add({ kind, remote: true }, share * remoteShare);
  };
  addAccount('balance', balanceShare);
  for (const [kind, share] of shares(SMALLBANK_WEIGHTS)) addAccount(kind, smallBankShare * share);
  const missing = DECK_SIZE - cells.reduce((sum, cell) => sum + cell.count, 0);
  const byRemainder = cells.toSorted((a, b) => b.exact - b.count - (a.exact - a.count));
  for (const cell of byRemainder.slice(0, missing)) cell.count += 1;
  return cells.flatMap(({ card, count }) => Array.from({ length: count }, () => card));
}

function shares<Kind extends string>(weights: Readonly<Record<Kind, number>>): [Kind, number][] {
  const entries = Object.entries(weights) as [Kind, number][];
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
  return entries.map(([kind, weight]) => [kind, weight / total]);
}

interface Table {
  readonly options: MixOptions;
  readonly random: Random;
}

/** Fills a card in. Two-account transactions take both accounts from one home region. */
function deal(card: Card, home: string, { options, random }: Table): PlannedRequest {
  const common = { region: options.region, remote: card.remote };
  const { kind } = card;
  if (kind === 'currencies') return { ...common, kind };
  if (kind === 'country') return { ...common, kind, code: pick(options.countries, random) };
  const accounts = options.accounts[home] ?? [];
  const account = pick(accounts, random);
  switch (kind) {
    case 'balance':
      return { ...common, kind, account, useToken: random.next() < options.tokenShare };
    case 'deposit-checking':
    case 'write-check':
      return { ...common, kind, account, amount: drawAmount(kind, random) };
    case 'transact-savings': {
      const amount = drawAmount(kind, random);
      return { ...common, kind, account, amount: random.next() < 0.5 ? -amount : amount };
    }
    case 'amalgamate':
      return { ...common, kind, account, to: pickOther(accounts, account, random) };
    case 'send-payment': {
      const to = pickOther(accounts, account, random);
      return { ...common, kind, account, to, amount: drawAmount(kind, random) };
    }
  }
}

/** From 1 to twice the mean, evenly. */
function drawAmount(kind: keyof typeof MEAN_AMOUNTS, random: Random): number {
  return 1 + random.below(2 * MEAN_AMOUNTS[kind] - 1);
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[random.below(items.length)] as T;
}

function pickOther(items: readonly string[], taken: string, random: Random): string {
  const index = random.below(items.length - 1);
  return (index >= items.indexOf(taken) ? items[index + 1] : items[index]) as string;
}
