/**
 * The tables that workloads use, as migrations of a cluster of their own. All are regional: what is
 * verified lives with accounts. Keys that would hide a double effect are left out on purpose.
 */
import { regional, type TableLocality } from '../topology/locality.ts';

export const MIGRATIONS: Readonly<Record<string, string>> = {
  'database/0001_nothing.sql': 'CREATE TABLE verify_reference (code text PRIMARY KEY);\n',
  'regional/0001_verify.sql': `
CREATE TABLE register (account_id text PRIMARY KEY, value bigint);

CREATE TABLE list (
  account_id text NOT NULL,
  key text NOT NULL,
  items bigint[] NOT NULL,
  PRIMARY KEY (account_id, key)
);

CREATE TABLE purse (account_id text PRIMARY KEY, balance bigint NOT NULL);

-- One row a side and application: a transfer that was applied twice shows twice.
CREATE TABLE transfer (
  account_id text NOT NULL,
  entry_id uuid NOT NULL DEFAULT gen_random_uuid(),
  id text NOT NULL,
  delta bigint NOT NULL,
  PRIMARY KEY (account_id, entry_id)
);

-- Numbered by a sequence, which goes where the rows go.
CREATE TABLE inserted (
  account_id text NOT NULL,
  id text NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (account_id, id)
);
`,
};

const byAccount = regional({ by: 'account_id' });

export const TABLES: Readonly<Record<string, TableLocality>> = {
  verify_reference: { kind: 'global' },
  register: byAccount,
  list: byAccount,
  purse: byAccount,
  transfer: byAccount,
  inserted: byAccount,
};
