-- SmallBank's three tables, and a journal. All are declared `regional({ by: 'account_id' })`: a row
-- lives in its account's home region, and the account column leads each primary key.

CREATE TABLE customer (
  account_id text PRIMARY KEY,
  name text NOT NULL,
  country text NOT NULL REFERENCES country (code),
  currency text NOT NULL REFERENCES currency (code),
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Balances are in minor units of the customer's currency (cents), so that sums are exact. Pages are
-- left half empty, so that a changed row finds room on its own page: it then needs no new index entry,
-- which would conflict with every serializable transaction that has read that page of the index.
CREATE TABLE savings (
  account_id text PRIMARY KEY,
  balance bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE checking (
  account_id text PRIMARY KEY,
  balance bigint NOT NULL
) WITH (fillfactor = 50);

-- What each request did to the account: written in the transaction that changes a balance, so the
-- balances are always the sums of the entries. request_id is not unique on purpose: a request that
-- was applied twice must show here twice.
CREATE TABLE entry (
  account_id text NOT NULL,
  entry_id uuid NOT NULL DEFAULT gen_random_uuid(),
  request_id text NOT NULL,
  kind text NOT NULL,
  savings_delta bigint NOT NULL,
  checking_delta bigint NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, entry_id)
);

CREATE INDEX entry_request ON entry (account_id, request_id);
