/**
 * Reads what a request to the control server says, and refuses what it cannot mean with
 * ERR_CONTROL_REQUEST. Names are bounded and printable, because they end up in logs and status.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MeridianError } from '../kernel/errors.ts';
import type { Subscriber } from './feed-stream.ts';
import { REQUEST_BODY_MAX_BYTES, type ActivityReport, type FeedHello } from './protocol.ts';

const NAME_LENGTH_MAX = 128;
const BOUNDED_READS_MAX = 1_000_000_000;

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    .end(text);
}

/**
 * For what is read without a token: a page in a browser on this machine can reach loopback by a name
 * of its own, but not under ours. Throws ERR_CONTROL_REQUEST.
 */
export function checkLoopbackHost(request: IncomingMessage): void {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  if (host === '127.0.0.1' || host === 'localhost' || host === '[::1]') return;
  throw new MeridianError('ERR_CONTROL_REQUEST', 'metrics are read at 127.0.0.1 or localhost');
}

export function parseSubscriber(query: URLSearchParams): Subscriber {
  const name = (key: string): string => {
    const value = query.get(key) ?? '';
    if (value.length > NAME_LENGTH_MAX || /[^\x20-\x7e]/.test(value)) {
      throw new MeridianError('ERR_CONTROL_REQUEST', `the parameter ${key} is not a plain name`);
    }
    return value;
  };
  const pid = Number(query.get('pid') ?? Number.NaN);
  return {
    process: name('process'),
    region: name('region'),
    zone: name('zone'),
    ...(Number.isSafeInteger(pid) && pid > 0 ? { pid } : {}),
  };
}

/** Checks the place against the declared ones; an empty zone is the region's first. */
export function placed(asked: Subscriber, hello: FeedHello): Subscriber {
  const region = hello.regions.find(({ name }) => name === asked.region);
  const zone = asked.zone === '' ? region?.zones[0] : asked.zone;
  if (region === undefined || zone === undefined || !region.zones.includes(zone)) {
    throw new MeridianError(
      'ERR_CONTROL_REQUEST',
      `the configuration declares no place ${asked.region}/${asked.zone}`,
      { remedy: 'Name a declared region (MERIDIAN_REGION) and zone (MERIDIAN_ZONE).' },
    );
  }
  return { ...asked, zone };
}

export async function readBody(
  request: IncomingMessage,
  maxBytes = REQUEST_BODY_MAX_BYTES,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Left open when the loop is left: the refusal must still be written.
  const body = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) {
      throw new MeridianError(
        'ERR_CONTROL_REQUEST',
        `the body is longer than ${String(maxBytes)} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function parseActivity(body: string): ActivityReport {
  let report: Partial<ActivityReport> | null = null;
  try {
    report = JSON.parse(body) as Partial<ActivityReport> | null;
  } catch {
    // Refused below, like any other wrong shape.
  }
  const boundedReads = report?.boundedReads;
  if (
    typeof boundedReads !== 'number' ||
    !Number.isSafeInteger(boundedReads) ||
    boundedReads < 0 ||
    boundedReads > BOUNDED_READS_MAX
  ) {
    throw new MeridianError('ERR_CONTROL_REQUEST', 'the body is not an activity report');
  }
  return { boundedReads };
}
