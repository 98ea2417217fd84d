/** What requests may look like: JSON schemas, checked by Fastify before a route runs. */

/** A billion units; keeps every sum far from 2^53. */
const AMOUNT_MAX = 100_000_000_000;

const text = { type: 'string', minLength: 1, maxLength: 128 } as const;
const amount = { type: 'integer', minimum: 1, maximum: AMOUNT_MAX } as const;
const signedAmount = { type: 'integer', minimum: -AMOUNT_MAX, maximum: AMOUNT_MAX } as const;
const initialAmount = { type: 'integer', minimum: 0, maximum: AMOUNT_MAX, default: 0 } as const;

const object = <Properties extends object>(
  properties: Properties,
  required: readonly (keyof Properties & string)[],
) => ({ type: 'object', additionalProperties: false, properties, required }) as const;

const account = object({ account: text }, ['account']);
const staleness = object({ staleness: { type: 'string', pattern: '^[0-9]{1,8}$' } }, []);

export const schemas = {
  balance: { params: account, querystring: staleness },
  deposit: { params: account, body: object({ amount, requestId: text }, ['amount', 'requestId']) },
  transactSavings: {
    params: account,
    body: object({ amount: signedAmount, requestId: text }, ['amount', 'requestId']),
  },
  amalgamate: {
    params: account,
    body: object({ to: text, requestId: text }, ['to', 'requestId']),
  },
  payment: {
    params: account,
    body: object({ to: text, amount, requestId: text }, ['to', 'amount', 'requestId']),
  },
  open: {
    body: object(
      {
        region: text,
        country: { type: 'string', pattern: '^[A-Z]{2}$' },
        currency: { type: 'string', pattern: '^[A-Z]{3}$' },
        name: text,
        id: text,
        savings: initialAmount,
        checking: initialAmount,
        requestId: { ...text, default: 'open' },
      },
      ['region', 'country', 'currency', 'name'],
    ),
  },
  currencies: { querystring: staleness },
  country: {
    params: object({ code: { type: 'string', pattern: '^[A-Z]{2}$' } }, ['code']),
    querystring: staleness,
  },
} as const;
