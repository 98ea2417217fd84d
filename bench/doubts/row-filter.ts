/**
 * Doubt 1, the fallback: ranges that share tables keyed by account move by a publication whose row
 * filter lists the range's accounts. Measures what decoding 20 000 updates costs without a filter,
 * with a list of accounts, and with a join-free alternative (a range column in every table).
 *
 *   node dist/bench/doubts/row-filter.js
 */
import { median, printTable } from './measure.ts';
import type { Row } from './measure.ts';
import { Server, withWorkspace } from './postgres.ts';

const UPDATES = 20_000;

await withWorkspace('filter', async () => {
  const server = await Server.create('filter', { fsync: 'off' });
  server.initdb();
  server.configure({});
  await server.start();
  const client = await server.connect();
  await client.query(
    `create table checking (account_id bigint, range_id int, balance bigint, note text,
       primary key (account_id, range_id));
     insert into checking select a, a % 20, 1000, 'note' from generate_series(0, 19999) a`,
  );
  const filters: readonly (readonly [string, string | undefined])[] = [
    ['no filter (a schema is published whole)', undefined],
    ['10 accounts listed', list(10)],
    ['100 accounts listed', list(100)],
    ['1000 accounts listed', list(1_000)],
    ['a range column: range_id = 0', 'range_id = 0'],
  ];
  const rows: Row[] = [];
  for (const [index, [name, filter]] of filters.entries()) {
    const where = filter === undefined ? '' : ` where (${filter})`;
    const created = performance.now();
    await client.query(`create publication p${String(index)} for table checking${where}`);
    rows.push({ name, filter: where.length, created: performance.now() - created });
  }
  await client.query(`select pg_create_logical_replication_slot('s', 'pgoutput')`);
  await client.query(`update checking set balance = balance + 1`);
  const results = [];
  for (const [index, row] of rows.entries()) {
    const times: number[] = [];
    let sent = 0;
    for (let run = 0; run < 5; run++) {
      const started = performance.now();
      const { rows: changes } = await client.query<{ n: string }>(
        `select count(*) n from pg_logical_slot_peek_binary_changes('s', null, null,
           'proto_version', '4', 'publication_names', 'p${String(index)}')`,
      );
      times.push(performance.now() - started);
      sent = Number(changes[0]?.n);
    }
    results.push({
      filter: row['name'],
      'filter text, bytes': row['filter'],
      'create publication, ms': row['created'],
      'decode 20 000 updates, ms': median(times),
      'us per update': (median(times) * 1_000) / UPDATES,
      'messages sent': sent,
    });
  }
  await client.end();
  printTable('Decoding through a publication (median of 5)', results);
});

/** Accounts of one range: spread over the table, as accounts of a range are. */
function list(count: number): string {
  const accounts = Array.from({ length: count }, (_, index) => String(index * 20));
  return `account_id in (${accounts.join(', ')})`;
}
