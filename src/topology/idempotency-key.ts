/**
 * What an idempotency key may look like, wherever it comes from. Pure. A key is opaque: it is compared
 * byte for byte, quotes included, so that no two programs can disagree on which keys are equal.
 */
export const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';

/** Visible ASCII without a space: a header that was sent twice and joined by ", " is none. */
const KEY = /^[\x21-\x7e]{1,255}$/;

export function isIdempotencyKey(text: string): boolean {
  return KEY.test(text);
}
