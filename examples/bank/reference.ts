/**
 * Reference data: ISO 4217 currencies and ISO 3166 countries, from the npm packages that track the
 * standards. Loading is one upsert per table and can be repeated; it writes only rows that differ, so
 * that a repeated load replicates nothing.
 */
import currencyCodes from 'currency-codes';
import isoCountries from 'i18n-iso-countries';
import type { Committed, MeridianClient, ReadOptions } from 'meridian';

export interface Currency {
  readonly code: string;
  readonly number: string;
  readonly name: string;
  readonly minorDigits: number;
}

export interface Country {
  readonly code: string;
  readonly alpha3: string;
  readonly number: string;
  readonly name: string;
}

export function currencies(): Currency[] {
  return currencyCodes.data.map((row) => ({
    code: row.code,
    number: row.number,
    name: row.currency,
    minorDigits: row.digits,
  }));
}

export function countries(): Country[] {
  const names = isoCountries.getNames('en', { select: 'official' });
  return Object.entries(isoCountries.getAlpha2Codes()).map(([code, alpha3]) => ({
    code,
    alpha3,
    number: isoCountries.alpha2ToNumeric(code) ?? '',
    name: names[code] ?? code,
  }));
}

const UPSERT_CURRENCIES = `
  INSERT INTO currency (code, number, name, minor_digits)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])
  ON CONFLICT (code) DO UPDATE
  SET number = excluded.number, name = excluded.name, minor_digits = excluded.minor_digits
  WHERE (currency.number, currency.name, currency.minor_digits)
        IS DISTINCT FROM (excluded.number, excluded.name, excluded.minor_digits)`;

const UPSERT_COUNTRIES = `
  INSERT INTO country (code, alpha3, number, name)
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
  ON CONFLICT (code) DO UPDATE
  SET alpha3 = excluded.alpha3, number = excluded.number, name = excluded.name
  WHERE (country.alpha3, country.number, country.name)
        IS DISTINCT FROM (excluded.alpha3, excluded.number, excluded.name)`;

/** Writes both tables at the primary region. The value is how many rows it changed. */
export function loadReferenceData(db: MeridianClient): Promise<Committed<number>> {
  const money = currencies();
  const places = countries();
  return db.global.write(async (tx) => {
    const changedCurrencies = await tx.query(UPSERT_CURRENCIES, [
      money.map((row) => row.code),
      money.map((row) => row.number),
      money.map((row) => row.name),
      money.map((row) => row.minorDigits),
    ]);
    const changedCountries = await tx.query(UPSERT_COUNTRIES, [
      places.map((row) => row.code),
      places.map((row) => row.alpha3),
      places.map((row) => row.number),
      places.map((row) => row.name),
    ]);
    return changedCurrencies.rowCount + changedCountries.rowCount;
  });
}

/** Both tables together, at least. */
export function expectedReferenceRows(): number {
  return currencies().length + countries().length;
}

export const COUNT_REFERENCE_ROWS = `
  SELECT (SELECT count(*) FROM currency)::int + (SELECT count(*) FROM country)::int AS count`;

export function readCurrencies(
  db: MeridianClient,
  options: ReadOptions,
): Promise<Committed<Currency[]>> {
  return db.global.read(async (tx) => {
    const { rows } = await tx.query<Currency>(
      'SELECT code, number, name, minor_digits AS "minorDigits" FROM currency ORDER BY code',
    );
    return [...rows];
  }, options);
}

/** Undefined: no such country. */
export function readCountry(
  db: MeridianClient,
  code: string,
  options: ReadOptions,
): Promise<Committed<Country | undefined>> {
  return db.global.read(async (tx) => {
    const { rows } = await tx.query<Country>(
      'SELECT code, alpha3, number, name FROM country WHERE code = $1',
      [code],
    );
    return rows[0];
  }, options);
}
