-- Reference data, declared `global()` in meridian.config.ts: one copy in every replication group, so
-- that regional tables refer to it and join it locally. Only the tables are made here; their rows are
-- written once, through global.write (see reference.ts), and replicated from the primary region.

-- ISO 4217
CREATE TABLE currency (
  code text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
  number text NOT NULL CHECK (number ~ '^[0-9]{3}$'),
  name text NOT NULL,
  minor_digits integer NOT NULL CHECK (minor_digits BETWEEN 0 AND 4)
);

-- ISO 3166-1
CREATE TABLE country (
  code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2}$'),
  alpha3 text NOT NULL CHECK (alpha3 ~ '^[A-Z]{3}$'),
  number text NOT NULL CHECK (number ~ '^[0-9]{3}$'),
  name text NOT NULL
);
