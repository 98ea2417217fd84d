/** Sends one report to the control server; resolves whatever happens, since the next one follows. */
import { request } from 'node:http';

const REQUEST_TIMEOUT_MS = 2_000;

export function postReport(
  to: { readonly url: URL; readonly token: string; readonly signal: AbortSignal },
  report: object,
): Promise<void> {
  const body = JSON.stringify(report);
  return new Promise((resolve) => {
    const outgoing = request(to.url, {
      method: 'POST',
      agent: false,
      timeout: REQUEST_TIMEOUT_MS,
      signal: to.signal,
      headers: {
        authorization: `Bearer ${to.token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      },
    });
    outgoing.on('timeout', () => {
      outgoing.destroy();
    });
    outgoing.on('error', () => {
      // 'close' follows.
    });
    outgoing.on('response', (response) => {
      response.on('error', () => {});
      response.resume();
    });
    outgoing.on('close', () => {
      resolve();
    });
    outgoing.end(body);
  });
}
