/** Declaration and schema must say the same of every table. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMeridianError } from '../../src/kernel/errors.ts';
import {
  checkSchema,
  schemaProblems,
  type ObservedTable,
} from '../../src/migrations/schema-check.ts';
import { global, regional } from '../../src/topology/locality.ts';

const orders: ObservedTable = {
  scope: 'regional',
  table: 'orders',
  primaryKey: ['account_id', 'id'],
  columns: ['account_id', 'id', 'total'],
};
const currencies: ObservedTable = {
  scope: 'database',
  table: 'currencies',
  primaryKey: ['code'],
  columns: ['code', 'name'],
};
const declared = { orders: regional({ by: 'account_id' }), currencies: global() };

describe('the schema check', () => {
  test('finds nothing where both agree', () => {
    assert.deepEqual(schemaProblems(declared, [orders, currencies]), []);
    checkSchema(declared, [currencies, orders]);
    checkSchema({}, []);
  });

  const cases: readonly {
    readonly what: string;
    readonly declared: Parameters<typeof checkSchema>[0];
    readonly observed: readonly ObservedTable[];
    readonly path: string;
    readonly says: RegExp;
  }[] = [
    {
      what: 'a regional table without its account in the primary key',
      declared,
      observed: [{ ...orders, primaryKey: ['id'] }, currencies],
      path: 'tables.orders.by',
      says: /"account_id" in the primary key, found PRIMARY KEY \(id\)\. Declare PRIMARY KEY \(account_id, id\)/,
    },
    {
      what: 'an account column that the table does not have',
      declared: { ...declared, orders: regional({ by: 'acount_id' }) },
      observed: [orders, currencies],
      path: 'tables.orders.by',
      says: /found "acount_id"\. Did you mean 'account_id'\?/,
    },
    {
      what: 'a table without a primary key',
      declared,
      observed: [orders, { ...currencies, primaryKey: [] }],
      path: 'tables.currencies',
      says: /expected a primary key, found none\. Add one to the table in migrations\/database/,
    },
    {
      what: 'a table that is not declared',
      declared: { orders: declared.orders },
      observed: [orders, currencies],
      path: 'tables.currencies',
      says: /migrations\/database makes this table, found nothing\. Declare it as global\(\)/,
    },
    {
      what: 'a table that is not made',
      declared,
      observed: [orders],
      path: 'tables.currencies',
      says: /a table that migrations\/database makes, found none\. Create it there/,
    },
    {
      what: 'a regional table made once per group',
      declared,
      observed: [{ ...orders, scope: 'database' }, currencies],
      path: 'tables.orders',
      says: /regional table, made in migrations\/regional, found the table in migrations\/database/,
    },
    {
      what: 'a global table made once per range',
      declared,
      observed: [orders, { ...currencies, scope: 'regional' }],
      path: 'tables.currencies',
      says: /global table, made in migrations\/database, found the table in migrations\/regional/,
    },
  ];
  for (const { what, declared: tables, observed, path, says } of cases) {
    test(`refuses ${what}`, () => {
      assert.deepEqual(
        schemaProblems(tables, observed).map((problem) => problem.path),
        [path],
      );
      assert.throws(
        () => {
          checkSchema(tables, observed);
        },
        (error: unknown) => {
          assert.ok(isMeridianError(error, 'ERR_SCHEMA_MISMATCH'));
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }

  test('tells a misspelt table as one, and every problem at once', () => {
    const problems = schemaProblems({ ordres: declared.orders }, [orders, currencies]);
    assert.deepEqual(
      problems.map(({ path, remedy }) => [path, remedy]),
      [
        ['tables.currencies', 'Declare it as global().'],
        ['tables.orders', "Declare it as regional({ by: '…' })."],
        ['tables.ordres', "Did you mean 'orders'?"],
      ],
    );
    assert.throws(
      () => {
        checkSchema({ ordres: declared.orders }, [orders, currencies]);
      },
      (error: unknown) => isMeridianError(error) && error.message.split('\n').length === 4,
    );
  });

  test('is not fooled by names that every object has', () => {
    const table = { ...currencies, table: 'constructor' };
    assert.equal(schemaProblems({}, [table]).length, 1);
  });
});
