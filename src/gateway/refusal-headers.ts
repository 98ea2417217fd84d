/**
 * What a refusal says in headers, for clients that do not read its body. Pure.
 *
 * 401 and 403 carry the challenge of RFC 6750 §3; 429 carries the fields of the IETF's draft
 * draft-ietf-httpapi-ratelimit-headers-10: the policy, and that nothing of it is left.
 */
import type { MeridianError } from '../kernel/errors.ts';

/** Alternating names and values. */
export function refusalHeaders(error: MeridianError): string[] {
  switch (error.code) {
    case 'ERR_GATEWAY_UNAUTHENTICATED':
      return ['www-authenticate', 'Bearer'];
    case 'ERR_GATEWAY_BEARER_INVALID':
      return ['www-authenticate', challenge('invalid_token', error)];
    case 'ERR_GATEWAY_FORBIDDEN':
      return ['www-authenticate', challenge('insufficient_scope', error)];
    case 'ERR_GATEWAY_RATE_LIMITED':
      return rateLimitHeaders(error);
    default:
      return [];
  }
}

/** Our own words, without quotes: see the messages of verifier.ts and access.ts. */
function challenge(code: string, error: MeridianError): string {
  return `Bearer error="${code}", error_description="${error.message}"`;
}

function rateLimitHeaders(error: MeridianError): string[] {
  const { policy, burst, ratePerSecond } = error.details;
  const quota = Number(burst);
  const windowSeconds = Math.max(1, Math.ceil(quota / Number(ratePerSecond)));
  const resetSeconds = Math.max(1, Math.ceil((error.retryAfterMs ?? 0) / 1_000));
  return [
    ...['ratelimit-policy', `"${String(policy)}";q=${String(quota)};w=${String(windowSeconds)}`],
    ...['ratelimit', `"${String(policy)}";r=0;t=${String(resetSeconds)}`],
  ];
}
