/**
 * The functions that open transactions, as of the second schema version (schema.ts has the first).
 *
 * Two checks are new, and cost no statement of their own. The group's name: an address that another
 * group's server took over would otherwise be let in when their epochs are equal. And the role: a
 * connection whose last user became another role and left it so would act with that one's rights.
 *
 * One query reads what is to be checked, and one assignment each sets the search path and the account:
 * these functions run at the head of every transaction.
 */
import { quoteIdentifier } from './quote.ts';
import { GLOBAL_SCHEMA } from './roles.ts';
import { SQLSTATE_SOILED, SQLSTATE_STALE_ROUTE, SQLSTATE_TOO_STALE } from './sqlstate.ts';

const globals = quoteIdentifier(GLOBAL_SCHEMA);

export const STALE = `RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}', MESSAGE =`;

/** `v` holds the group's name and epoch, and the range's epoch and state: one row, always. */
const LOOK = `SELECT g.name, g.epoch, r.epoch AS range_epoch, r.state INTO v
  FROM meridian.group_state g LEFT JOIN meridian.range r ON r.name = p_range;`;

/** First of all: another role may not even read what the other checks need. */
export const CHECK_ROLE = `
  IF current_user <> session_user THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_SOILED}',
      MESSAGE = 'the connection has been left with another role';
  END IF;`;

/** In the transaction's own snapshot, on leaders and replicas alike. */
export const CHECK_PLACE = `
  IF v.name IS DISTINCT FROM p_group THEN
    ${STALE} pg_catalog.format('this node belongs to group %s, not %s', v.name, p_group);
  END IF;
  IF p_range IS NOT NULL
    AND (v.range_epoch IS DISTINCT FROM p_range_epoch OR v.state IS DISTINCT FROM 'open') THEN
    ${STALE} pg_catalog.format('range %s is not here at epoch %s', p_range, p_range_epoch);
  END IF;`;

/** For the transaction alone; an account that is not given is '', which the tenant fence denies. */
export const USE_SCOPE = `
  PERFORM pg_catalog.set_config('search_path',
    CASE WHEN p_range IS NULL THEN '' ELSE pg_catalog.quote_ident(p_range) || ', ' END
      || '${globals}, pg_temp', true);
  PERFORM pg_catalog.set_config('meridian.account', coalesce(p_account, ''), true);`;

export const ADMISSION_V2 = `
DROP FUNCTION meridian.enter(bigint, text, bigint, text);
DROP FUNCTION meridian.enter_replica(bigint, text, bigint, text, bigint);

CREATE FUNCTION meridian.enter(
  p_group text, p_group_epoch bigint, p_range text, p_range_epoch bigint, p_account text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  ${CHECK_ROLE}
  IF pg_catalog.pg_is_in_recovery() THEN
    ${STALE} 'this node does not lead its group';
  END IF;
  ${LOOK}
  IF v.epoch IS DISTINCT FROM p_group_epoch THEN
    ${STALE} pg_catalog.format('the group is at epoch %s, the route says %s', v.epoch, p_group_epoch);
  END IF;
  ${CHECK_PLACE}
  ${USE_SCOPE}
END $$;

CREATE FUNCTION meridian.enter_replica(
  p_group text, p_group_epoch bigint, p_range text, p_range_epoch bigint, p_account text,
  p_max_staleness_ms bigint, OUT epoch bigint, OUT log pg_lsn
) LANGUAGE plpgsql AS $$
DECLARE
  v_age_ms double precision;
  v record;
BEGIN
  ${CHECK_ROLE}
  -- A leader is as fresh as can be, once it proves that it still leads.
  IF NOT pg_catalog.pg_is_in_recovery() THEN
    PERFORM meridian.enter(p_group, p_group_epoch, p_range, p_range_epoch, p_account);
    epoch := p_group_epoch;
    log := pg_catalog.pg_current_wal_insert_lsn();
    RETURN;
  END IF;
  -- The snapshot is taken by now, so what it holds was replayed before this position.
  log := pg_catalog.pg_last_wal_replay_lsn();
  ${LOOK}
  epoch := v.epoch;
  IF p_max_staleness_ms IS NOT NULL THEN
    SELECT 1000 * extract(epoch FROM pg_catalog.clock_timestamp() - at) INTO v_age_ms
      FROM meridian.heartbeat;
    IF v_age_ms IS NULL OR v_age_ms > p_max_staleness_ms THEN
      RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_TOO_STALE}',
        MESSAGE = pg_catalog.format('the replica is %s ms old, %s allowed',
          pg_catalog.round(v_age_ms), p_max_staleness_ms);
    END IF;
  END IF;
  ${CHECK_PLACE}
  ${USE_SCOPE}
END $$;

CREATE OR REPLACE FUNCTION meridian.use_scope(p_range text, p_account text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  ${USE_SCOPE}
END $$;
`;
