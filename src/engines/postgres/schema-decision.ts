/**
 * Decisions about transactions over several groups, kept in the database of the group that decides,
 * for the second schema version. See two-phase.ts.
 *
 * `decide` runs in the coordinator's own transaction, so the record and its half are committed
 * together. Under SERIALIZABLE its insert fails with 40001 when recovery was first.
 *
 * `settle` writes even when there is a decision: a decision that only one disk has, because its commit
 * still waits for the quorum, is thereby confirmed by a quorum before anybody acts on it.
 */
import { DECIDE_WITHIN_MS } from '../two-phase.ts';
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { SQLSTATE_STALE_ROUTE } from './sqlstate.ts';

const app = quoteIdentifier(ROLE.application);

/** Longest wait of recovery for a coordinator's transaction that is still open. */
const SETTLE_LOCK_TIMEOUT_MS = 2_000;

/**
 * Longest wait of a statement for a row, unless it says otherwise: rows of a transaction in doubt are
 * locked until recovery has decided. A conflict then (55P03), so the whole is run again.
 */
const LOCK_TIMEOUT_MS = 4_000;

export const DECISION_V2 = `
CREATE TABLE meridian.decision (
  gid text PRIMARY KEY,
  outcome text NOT NULL CHECK (outcome IN ('commit', 'abort')),
  at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

CREATE FUNCTION meridian.decide(p_gid text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  -- The record of an abort may be gone after a while; a commit that comes so late must not succeed.
  IF pg_catalog.clock_timestamp() - pg_catalog.now() > interval '${String(DECIDE_WITHIN_MS)} ms' THEN
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'the transaction is too old to be decided';
  END IF;
  INSERT INTO meridian.decision AS d (gid, outcome) VALUES (p_gid, 'commit') ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'recovery has decided to abort';
  END IF;
END $$;

CREATE FUNCTION meridian.settle(p_group text, p_gid text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = ''
SET lock_timeout = '${String(SETTLE_LOCK_TIMEOUT_MS)}ms' AS $$
DECLARE
  v_outcome text;
BEGIN
  IF pg_catalog.pg_is_in_recovery()
    OR NOT EXISTS (SELECT FROM meridian.group_state WHERE name = p_group) THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
      MESSAGE = pg_catalog.format('this node does not lead group %s', p_group);
  END IF;
  INSERT INTO meridian.decision AS d (gid, outcome) VALUES (p_gid, 'abort')
    ON CONFLICT (gid) DO UPDATE SET outcome = d.outcome
    RETURNING d.outcome INTO v_outcome;
  RETURN v_outcome;
END $$;

REVOKE ALL ON FUNCTION meridian.decide(text), meridian.settle(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meridian.decide(text), meridian.settle(text, text) TO ${app};
ALTER ROLE ${app} SET lock_timeout = '${String(LOCK_TIMEOUT_MS)}ms';
`;
