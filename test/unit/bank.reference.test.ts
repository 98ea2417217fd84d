/** Reference data as loaded, money as shown, and the checks that the tables will make. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatMoney } from '../../examples/bank/money.ts';
import { countries, currencies } from '../../examples/bank/reference.ts';

const distinct = (values: readonly string[]): number => new Set(values).size;

describe('bank reference data', () => {
  test('currencies are ISO 4217: every code once, with its digits', () => {
    const rows = currencies();
    assert.ok(rows.length > 150);
    assert.equal(distinct(rows.map((row) => row.code)), rows.length);
    for (const row of rows) {
      assert.match(row.code, /^[A-Z]{3}$/);
      assert.match(row.number, /^[0-9]{3}$/);
      assert.ok(Number.isInteger(row.minorDigits) && row.minorDigits >= 0 && row.minorDigits <= 4);
    }
    const digits = Object.fromEntries(rows.map((row) => [row.code, row.minorDigits]));
    assert.deepEqual([digits['EUR'], digits['JPY'], digits['BHD']], [2, 0, 3]);
  });

  test('countries are ISO 3166: every code once, with a name', () => {
    const rows = countries();
    assert.ok(rows.length > 240);
    assert.equal(distinct(rows.map((row) => row.code)), rows.length);
    for (const row of rows) {
      assert.match(row.code, /^[A-Z]{2}$/);
      assert.match(row.alpha3, /^[A-Z]{3}$/);
      assert.match(row.number, /^[0-9]{3}$/);
      assert.notEqual(row.name, row.code);
    }
    const ireland = rows.find((row) => row.code === 'IE');
    assert.deepEqual(ireland, { code: 'IE', alpha3: 'IRL', number: '372', name: 'Ireland' });
  });

  test("money shows the currency's digits", () => {
    const show = (amount: number, currency: string, minorDigits: number): string =>
      formatMoney(amount, { currency, minorDigits });
    assert.equal(show(123_456, 'EUR', 2), 'EUR 1,234.56');
    assert.equal(show(-5, 'EUR', 2), 'EUR -0.05');
    assert.equal(show(0, 'USD', 2), 'USD 0.00');
    assert.equal(show(1_234_567, 'JPY', 0), 'JPY 1,234,567');
    assert.equal(show(999, 'BHD', 3), 'BHD 0.999');
    assert.equal(show(100_000_000, 'INR', 2), 'INR 1,000,000.00');
  });
});
