/** The bank's server while it closes: what reaches it is answered. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import type { MeridianClient } from 'meridian';
import { buildServer } from '../../examples/bank/routes.ts';

test('a request that was being sent when the server began to close is served', async () => {
  // No more of a client than its health check asks for.
  const db = { region: 'eu-west', counters: () => ({ retries: {} }) } as unknown as MeridianClient;
  const server = buildServer(db, { name: 'bank.0', reportFault: () => {} });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const address = server.server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const socket = connect(address.port, '127.0.0.1');
  const arrived = once(server.server, 'connection');
  socket.write('GET /healthz HTTP/1.1\r\nhost: bank\r\n');
  const [accepted] = (await arrived) as [NodeJS.EventEmitter];
  // Its first bytes have been read, so that the connection is not an idle one.
  await once(accepted, 'readable').catch(() => {});
  const closing = server.close();
  socket.write('\r\n');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  await closing;
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.match(text, /connection: close/i);
});
