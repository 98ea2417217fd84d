/** Metrics of a real platform under a little load: every one that is declared, with sane values. */
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { METRICS, metricNames } from '../../src/control/metrics/table.ts';
import { parseExposition, type ScrapedSample } from '../support/exposition.ts';
import { startBank, until, type Bank } from '../support/bank.ts';

let bank: Bank;
before(async () => {
  bank = await startBank();
});
after(async () => {
  await bank[Symbol.asyncDispose]();
});

function ask(host: string): Promise<{ status: number; text: string }> {
  const url = new URL('/metrics', bank.cluster.platform.env['MERIDIAN_CONTROL_URL']);
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, text });
      });
    })
      .on('error', reject)
      .end();
  });
}

async function scrape(): Promise<ReturnType<typeof parseExposition>> {
  const { status, text } = await ask('127.0.0.1');
  assert.equal(status, 200, text);
  return parseExposition(text);
}

/** No sample unless something went wrong. */
const ONLY_IN_TROUBLE = new Set([
  'meridian_client_retries_total',
  'meridian_group_operation',
  'meridian_node_rebuild_done_bytes',
  'meridian_node_rebuild_size_bytes',
]);

test('a scrape has every metric that is declared and no other, with values that fit the load', async () => {
  const opened = await bank.open('us-east', { region: 'us-east', id: 'anna' });
  assert.equal(opened.status, 201);
  for (let i = 0; i < 5; i += 1) {
    const answer = await bank.ask('eu-west', '/accounts/anna/deposit-checking', {
      body: { amount: 1, requestId: 'once' },
      headers: { 'idempotency-key': 'once' },
    });
    assert.equal(answer.status, 200);
    await bank.ask('eu-west', '/accounts/anna/balance');
  }
  assert.equal((await bank.ask('eu-west', '/accounts/nobody/balance')).status, 404);
  assert.equal(
    (await bank.ask('eu-west', '/accounts/nobody/write-check', { body: {} })).status,
    404,
  );
  let samples: ScrapedSample[] = [];
  let scraped = await scrape();
  const of = (name: string, labels: Readonly<Record<string, string>> = {}): number =>
    samples
      .filter((one) => one.name === name)
      .filter((one) => Object.entries(labels).every(([key, value]) => one.labels[key] === value))
      .reduce((sum, one) => sum + one.value, 0);
  await until(async () => {
    scraped = await scrape();
    samples = [...scraped.values()].flatMap((metric) => metric.samples);
    return of('meridian_client_replays_total') >= 4 && of('meridian_gateway_requests_total') >= 13;
  }, 'the reports of gateways and app servers');
  assert.deepEqual([...scraped.keys()].toSorted(), metricNames().toSorted());
  for (const name of metricNames()) {
    assert.equal(scraped.get(name)?.type, METRICS[name].type, name);
    const found = samples.filter((one) => one.name === name);
    assert.ok(found.length > 0 || ONLY_IN_TROUBLE.has(name), name);
    for (const { labels, value } of found) {
      assert.ok(Number.isFinite(value) && value >= 0, `${name} ${String(value)}`);
      assert.deepEqual(Object.keys(labels).toSorted(), [...METRICS[name].labels].toSorted());
    }
  }
  assert.equal(of('meridian_node_up'), 15);
  assert.equal(of('meridian_node_leads'), 3);
  assert.equal(of('meridian_group_open'), 3);
  assert.ok(of('meridian_group_epoch') >= 3);
  assert.ok(of('meridian_accounts') >= 1);
  assert.equal(of('meridian_group_in_doubt_transactions'), 0);
  assert.equal(of('meridian_process_ready', { kind: 'gateway' }), 3);
  assert.equal(of('meridian_process_ready', { kind: 'app', region: 'eu-west' }), 2);
  assert.equal(of('meridian_process_ready'), 9);
  assert.equal(of('meridian_scrape_errors_total'), 0);
  assert.equal(of('meridian_platform_info'), 1);
  assert.equal(of('meridian_process_restarts_total'), 0);
  assert.equal(of('meridian_gateway_forwarded_total', { reason: 'home-write' }), 5);
  assert.ok(of('meridian_gateway_refused_total', { code: 'ERR_ACCOUNT_NOT_FOUND' }) >= 1);
  const started = of('meridian_start_time_seconds');
  assert.ok(Math.abs(Date.now() / 1_000 - started) < 300, String(started));
});

test('metrics need no token, and are not read under a name that is not loopback', async () => {
  assert.equal((await ask('localhost:1')).status, 200);
  const rebound = await ask('evil.example');
  assert.equal(rebound.status, 400);
  assert.match(rebound.text, /ERR_CONTROL_REQUEST/);
});
