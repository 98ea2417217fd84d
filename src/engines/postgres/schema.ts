/**
 * Meridian's own schema in each group's database, and the functions that open transactions.
 *
 * `enter` runs in the same message as BEGIN, before the application's first statement: it refuses a
 * stale route (group epoch, range epoch, closed range, wrong role) before anything is read, sets the
 * search path and the account for the transaction alone, and returns nothing. What it reads belongs to
 * the transaction's own snapshot, so a range that moves away meanwhile is noticed by serializability.
 *
 * `enter_replica` also tells the position that the snapshot does not go beyond, for the reader's token.
 * On a replica the heartbeat is read in the same snapshot as the data: its time was taken before its
 * commit, so everything acknowledged before that time is in the snapshot.
 */
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { GLOBAL_PUBLICATION, GLOBAL_SCHEMA, ROLE } from './roles.ts';
import type { Secrets } from './secrets.ts';
import { SQLSTATE_STALE_ROUTE, SQLSTATE_TOO_STALE } from './sqlstate.ts';

const app = quoteIdentifier(ROLE.application);
const writer = quoteIdentifier(ROLE.globalWriter);
const owner = quoteIdentifier(ROLE.owner);
const replication = quoteIdentifier(ROLE.replication);
const globals = quoteIdentifier(GLOBAL_SCHEMA);

/**
 * Version 1, run on the leader of a new group as the administrator; later changes are in
 * schema-upgrades.ts, and never here.
 */
export function schemaStatements(secrets: Secrets): string {
  return `
CREATE ROLE ${owner} NOLOGIN;
CREATE ROLE ${writer} NOLOGIN;
CREATE ROLE ${app} LOGIN NOINHERIT PASSWORD ${quoteLiteral(secrets.application)};
CREATE ROLE ${replication} LOGIN REPLICATION PASSWORD ${quoteLiteral(secrets.replication)};
GRANT ${writer} TO ${app} WITH INHERIT FALSE, SET TRUE;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC;

CREATE SCHEMA ${globals} AUTHORIZATION ${owner};
GRANT USAGE ON SCHEMA ${globals} TO ${app}, ${writer}, ${replication};
ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${globals}
  GRANT SELECT ON TABLES TO ${app}, ${writer}, ${replication};

CREATE SCHEMA meridian;
GRANT USAGE ON SCHEMA meridian TO ${app}, ${writer}, ${replication};

CREATE TABLE meridian.group_state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  name text NOT NULL,
  epoch bigint NOT NULL,
  schema_version integer NOT NULL
);
CREATE TABLE meridian.heartbeat (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  at timestamptz NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE meridian.range (
  name text PRIMARY KEY,
  epoch bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('open', 'closed'))
);
CREATE TABLE meridian.migration (
  scope text NOT NULL,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (scope, name)
);
-- The directory: which range an account is in. Global: written at the primary, copied everywhere.
CREATE TABLE meridian.account (
  id text PRIMARY KEY,
  range text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON meridian.group_state, meridian.heartbeat, meridian.range TO ${app};
GRANT SELECT ON meridian.account TO ${app}, ${writer}, ${replication};

${ENTER}
${ENTER_REPLICA}
${REPLAYED}
`;
}

/** In the transaction's own snapshot, on leaders and replicas alike. */
const CHECK_RANGE = `IF p_range IS NOT NULL THEN
    SELECT * INTO v_range FROM meridian.range WHERE name = p_range;
    IF v_range.epoch IS DISTINCT FROM p_range_epoch OR v_range.state IS DISTINCT FROM 'open' THEN
      RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
        MESSAGE = pg_catalog.format('range %s is not here at epoch %s', p_range, p_range_epoch);
    END IF;
  END IF;`;

const ENTER = `
CREATE FUNCTION meridian.enter(
  p_group_epoch bigint, p_range text, p_range_epoch bigint, p_account text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_epoch bigint;
  v_range meridian.range;
BEGIN
  IF pg_catalog.pg_is_in_recovery() THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}', MESSAGE = 'this node does not lead its group';
  END IF;
  SELECT epoch INTO v_epoch FROM meridian.group_state;
  IF v_epoch IS DISTINCT FROM p_group_epoch THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
      MESSAGE = pg_catalog.format('the group is at epoch %s, the route says %s', v_epoch, p_group_epoch);
  END IF;
  ${CHECK_RANGE}
  PERFORM meridian.use_scope(p_range, p_account);
END $$;

CREATE FUNCTION meridian.use_scope(p_range text, p_account text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_catalog.set_config('search_path',
    CASE WHEN p_range IS NULL THEN '' ELSE pg_catalog.quote_ident(p_range) || ', ' END
      || '${globals}, pg_temp', true);
  PERFORM pg_catalog.set_config('meridian.account', coalesce(p_account, ''), true);
END $$;
`;

const ENTER_REPLICA = `
CREATE FUNCTION meridian.enter_replica(
  p_group_epoch bigint, p_range text, p_range_epoch bigint, p_account text, p_max_staleness_ms bigint,
  OUT epoch bigint, OUT log pg_lsn
) LANGUAGE plpgsql AS $$
DECLARE
  v_age_ms double precision;
  v_range meridian.range;
BEGIN
  -- A leader is as fresh as can be, once it proves that it still leads.
  IF NOT pg_catalog.pg_is_in_recovery() THEN
    PERFORM meridian.enter(p_group_epoch, p_range, p_range_epoch, p_account);
    epoch := p_group_epoch;
    log := pg_catalog.pg_current_wal_insert_lsn();
    RETURN;
  END IF;
  -- The snapshot is taken by now, so what it holds was replayed before this position.
  SELECT g.epoch INTO epoch FROM meridian.group_state g;
  log := pg_catalog.pg_last_wal_replay_lsn();
  IF p_max_staleness_ms IS NOT NULL THEN
    SELECT 1000 * extract(epoch FROM pg_catalog.clock_timestamp() - at) INTO v_age_ms
      FROM meridian.heartbeat;
    IF v_age_ms IS NULL OR v_age_ms > p_max_staleness_ms THEN
      RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_TOO_STALE}',
        MESSAGE = pg_catalog.format('the replica is %s ms old, %s allowed',
          pg_catalog.round(v_age_ms), p_max_staleness_ms);
    END IF;
  END IF;
  ${CHECK_RANGE}
  PERFORM meridian.use_scope(p_range, p_account);
END $$;
`;

/**
 * How far this node has come. Read it in a statement of its own, before the snapshot that must
 * include the position is taken: the function's answer may be newer than its statement's snapshot.
 */
const REPLAYED = `
CREATE FUNCTION meridian.reached(OUT epoch bigint, OUT log pg_lsn) LANGUAGE sql AS $$
  SELECT g.epoch, CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN pg_catalog.pg_last_wal_replay_lsn() ELSE pg_catalog.pg_current_wal_insert_lsn() END
  FROM meridian.group_state g
$$;
`;

/** On the primary's group: who may write global tables, and what is published. */
export function publisherStatements(): string {
  return `
ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${globals}
  GRANT INSERT, UPDATE, DELETE ON TABLES TO ${writer};
GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${globals} TO ${writer};
GRANT INSERT ON meridian.account TO ${writer};
GRANT SELECT ON meridian.range TO ${writer};
CREATE PUBLICATION ${quoteIdentifier(GLOBAL_PUBLICATION)}
  FOR TABLES IN SCHEMA ${globals}, TABLE meridian.account;
`;
}

/** A new range: a schema of its own, owned by nobody who can log in. */
export function rangeStatements(range: string): string {
  const schema = quoteIdentifier(range);
  return `
CREATE SCHEMA ${schema} AUTHORIZATION ${owner};
GRANT USAGE ON SCHEMA ${schema} TO ${app};
ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${schema}
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO ${app};
ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${schema}
  GRANT USAGE, SELECT ON SEQUENCES TO ${app};
INSERT INTO meridian.range (name, epoch, state) VALUES (${quoteLiteral(range)}, 1, 'open');
`;
}
