/** Whose rows a statement means, from the plan that PostgreSQL makes of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { factsOfPlan, type PlanNode } from '../../src/engines/postgres/statement-plan.ts';
import { global, regional } from '../../src/topology/locality.ts';

const TABLES = {
  orders: regional({ by: 'account_id' }),
  items: regional({ by: 'account_id' }),
  currency: global(),
};
const scan = (
  table: string,
  conditions: Readonly<Record<string, string>>,
  alias = table,
): PlanNode => ({
  ...{ 'Node Type': 'Seq Scan', 'Relation Name': table, Alias: alias },
  ...conditions,
});
const join = (conditions: Readonly<Record<string, string>>, ...Plans: PlanNode[]): PlanNode => ({
  ...{ 'Node Type': 'Hash Join', Plans },
  ...conditions,
});
const scattered = (plan: PlanNode): readonly string[] => factsOfPlan(plan, TABLES).scattered;

describe('statements', () => {
  test('that say whose rows they mean', () => {
    for (const condition of [
      '(orders.account_id = $1)',
      '((orders.account_id)::text = $1)',
      '(orders.account_id = ANY ($1))',
      "((orders.id > 5) AND (orders.account_id = 'anna'::text))",
      '((orders.account_id = $1) AND ((orders.id = 1) OR (orders.id = 2)))',
    ]) {
      assert.deepEqual(scattered(scan('orders', { Filter: condition })), [], condition);
      assert.deepEqual(scattered(scan('orders', { 'Index Cond': condition })), [], condition);
    }
  });

  test('and those that do not', () => {
    for (const condition of [
      '(orders.id = $1)',
      '(orders.account_id <> $1)',
      '(orders.account_id > $1)',
      '((orders.account_id = $1) OR (orders.id = 1))',
      "(orders.note = 'orders.account_id = $1 '::text)",
    ]) {
      assert.deepEqual(scattered(scan('orders', { Filter: condition })), ['orders'], condition);
    }
    assert.deepEqual(scattered(scan('orders', {})), ['orders']);
    assert.deepEqual(scattered(scan('currency', {})), []);
  });

  test('through a join on the account, from either side', () => {
    const bound = scan('orders', { Filter: '(o.account_id = $1)' }, 'o');
    const loose = scan('items', {}, 'i');
    assert.deepEqual(
      scattered(join({ 'Hash Cond': '(o.account_id = i.account_id)' }, bound, loose)),
      [],
    );
    assert.deepEqual(
      scattered(join({ 'Hash Cond': '(i.account_id = o.account_id)' }, bound, loose)),
      [],
    );
    assert.deepEqual(scattered(join({ 'Hash Cond': '(o.id = i.order_id)' }, bound, loose)), [
      'items',
    ]);
    const inner = scan(
      'items',
      { 'Index Cond': '((i.account_id = o.account_id) AND (i.order_id = o.id))' },
      'i',
    );
    assert.deepEqual(scattered(join({}, bound, inner)), []);
    assert.deepEqual(scattered(join({}, scan('orders', {}, 'o'), inner)), ['items', 'orders']);
  });

  test('and what they read and write', () => {
    const update: PlanNode = {
      ...{ 'Node Type': 'ModifyTable', Operation: 'Update', 'Relation Name': 'orders' },
      Plans: [
        join({}, scan('orders', { Filter: '(orders.account_id = $1)' }), scan('currency', {})),
      ],
    };
    assert.deepEqual(factsOfPlan(update, TABLES), {
      ...{ writes: ['orders'], reads: ['currency', 'orders'], scattered: [] },
    });
  });
});
