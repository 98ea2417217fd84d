/** What a law says when it is broken. */
import { isMeridianError, MeridianError, messageOf, type ErrorCode } from '../kernel/errors.ts';

export function must(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new MeridianError('ERR_CONFORMANCE', otherwise);
}

/** The refusal that the promise ends in; anything else breaks the law. */
export async function refusal(
  attempt: Promise<unknown>,
  codes: readonly ErrorCode[],
  what: string,
): Promise<MeridianError> {
  let reason: unknown;
  try {
    await attempt;
  } catch (error) {
    reason = error;
  }
  must(reason !== undefined, `${what} succeeded, and should fail with ${codes.join(' or ')}.`);
  const named = isMeridianError(reason) && codes.includes(reason.code);
  must(named, `${what} failed with: ${messageOf(reason)}; it should with ${codes.join(' or ')}.`);
  return reason as MeridianError;
}
