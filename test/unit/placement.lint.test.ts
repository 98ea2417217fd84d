/** What distance costs or forbids of a schema, with its price in milliseconds. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { lintSchema, type Finding } from '../../src/placement/plan/lint.ts';
import type { DeclaredPlacement } from '../../src/topology/declared.ts';
import { global, regional } from '../../src/topology/locality.ts';
import type {
  ReferenceFacts,
  StatementFacts,
  TableFacts,
} from '../../src/topology/schema-facts.ts';

const PLACEMENT: DeclaredPlacement = {
  regions: ['us', 'eu', 'ap'].map((name) => ({ name, zones: ['a', 'b', 'c'] })),
  ...{
    primaryRegion: 'us',
    survive: 'zone',
    groupsPerRegion: 1,
    rangesPerRegion: 1,
    residencies: [],
  },
  latency: { betweenRegionsMs: { 'eu|us': 80, 'ap|us': 200, 'ap|eu': 140 }, betweenZonesMs: 1 },
  prices: undefined,
};
const table = (name: string, change: Partial<TableFacts> = {}): TableFacts => ({
  ...{ name, locality: regional({ by: 'account_id' }), references: [] },
  unique: [{ name: `${name}_pkey`, columns: ['account_id', 'id'] }],
  ...change,
});
const reference = (change: Partial<ReferenceFacts>): ReferenceFacts => ({
  ...{ name: 'ref', columns: ['account_id', 'order_id'], to: 'orders' },
  ...{ toColumns: ['account_id', 'id'], onDelete: 'nothing' },
  ...change,
});
const currency = table('currency', { locality: global(), unique: [] });
const lint = (
  tables: readonly TableFacts[],
  statements: readonly StatementFacts[] = [],
): readonly Finding[] => lintSchema({ tables, statements }, PLACEMENT);
const said = (findings: readonly Finding[]): readonly string[] =>
  findings.map(({ severity, where }) => `${severity} ${where}`);

describe('a schema', () => {
  test('whose keys and references stay with the account has nothing to be said of it', () => {
    const items = table('items', { references: [reference({})] });
    assert.deepEqual(lint([table('orders'), items, currency]), []);
    const priced = table('orders', {
      references: [reference({ columns: ['currency'], to: 'currency', toColumns: ['code'] })],
    });
    assert.deepEqual(lint([priced, currency]), []);
  });

  test('that claims uniqueness over regions: what a claim at the primary would cost', () => {
    const orders = table('orders', {
      unique: [{ name: 'orders_number_key', columns: ['number'] }],
    });
    const [finding, ...others] = lint([orders]);
    assert.deepEqual(others, []);
    assert.deepEqual(said(finding === undefined ? [] : [finding]), [
      'wrong orders.orders_number_key',
    ]);
    assert.deepEqual(finding?.priceMs, [
      { region: 'us', ms: 1 },
      { region: 'eu', ms: 81 },
      { region: 'ap', ms: 201 },
    ]);
  });

  test('with references between accounts, and cascades from global rows', () => {
    const loose = reference({ columns: ['order_id'], toColumns: ['id'] });
    assert.deepEqual(said(lint([table('orders'), table('items', { references: [loose] })])), [
      'costly items.ref',
    ]);
    const cascade = { columns: ['currency'], to: 'currency', toColumns: ['code'] };
    for (const onDelete of ['cascade', 'set'] as const) {
      const orders = table('orders', { references: [reference({ ...cascade, onDelete })] });
      assert.deepEqual(said(lint([orders, currency])), ['wrong orders.ref']);
    }
  });
});

describe('statements', () => {
  const statement = (change: Partial<StatementFacts>): StatementFacts => ({
    ...{ name: 'all', failure: '', reads: [], writes: [], scattered: [] },
    ...change,
  });

  test('that go through all rows: the farthest region is waited for', () => {
    const [finding] = lint([table('orders')], [statement({ scattered: ['orders'] })]);
    assert.equal(finding?.where, 'statements.all');
    assert.deepEqual(
      finding.priceMs.map(({ ms }) => ms),
      [200, 140, 200],
    );
  });

  test('that write to global tables, or that the database does not understand', () => {
    assert.deepEqual(said(lint([currency], [statement({ writes: ['currency'] })])), [
      'costly statements.all',
    ]);
    assert.deepEqual(said(lint([currency], [statement({ failure: 'syntax error' })])), [
      'wrong statements.all',
    ]);
    assert.deepEqual(lint([table('orders')], [statement({ writes: ['orders'] })]), []);
  });
});
