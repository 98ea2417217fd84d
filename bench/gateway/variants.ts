/** What takes turns in `bench -- gateway`, and the request each of them gets. */
import type { GatewayOptions } from '../../src/gateway/options.ts';

export type Variant = { readonly name: string; readonly request: string } & (
  | { readonly kind: 'nginx'; readonly accessLog: boolean }
  | { readonly kind: 'gateway'; readonly options: Partial<GatewayOptions> }
);

/** About what a browser's fetch sends. */
const COMMON = [
  'host: app.example',
  'user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'accept: application/json',
  'accept-language: en-US,en;q=0.5',
  'accept-encoding: gzip, deflate, br',
  'cookie: session=4f1d0c6f9d8e4b7aa2c3',
];

const get = (...more: string[]): string =>
  ['GET /accounts/alice/orders?limit=20 HTTP/1.1', ...COMMON, ...more, '', ''].join('\r\n');

const post = (body: string): string =>
  [
    'POST /accounts/alice/orders HTTP/1.1',
    ...COMMON,
    'content-type: application/json',
    `content-length: ${String(body.length)}`,
    '',
    body,
  ].join('\r\n');

const ORDER = JSON.stringify({ item: 'book', quantity: 2, note: 'x'.repeat(180) });

export const VARIANTS: readonly Variant[] = [
  { name: 'nginx', kind: 'nginx', accessLog: false, request: get() },
  { name: 'nginx, access log', kind: 'nginx', accessLog: true, request: get() },
  { name: 'gateway', kind: 'gateway', options: {}, request: get() },
  { name: 'gateway, POST', kind: 'gateway', options: {}, request: post(ORDER) },
];
