/**
 * What the move of a range needs of both groups, for the fourth schema version.
 *
 * - `move_marker` travels with the range's rows, in the order of commits: a marker that has arrived proves
 *   that everything committed before it has. Waiting for one beats waiting for the slot's confirmed
 *   position, which lags behind by the intervals of writer and status.
 * - `refuse_moved` is put before every statement that writes to a table of a closed range. `enter` refuses
 *   who comes later; this refuses whoever had entered before.
 * - `open_range` is the moment at which the target takes over, in one commit.
 * - `origins` are the positions at which former groups closed the range, as a token. Whoever has used it
 *   here has seen that, so it is part of the tokens that are given out here: a reader whose route is old
 *   would otherwise be served by a replica of a former group that has not heard of the move.
 */
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { KEY_TABLE } from './schema-idempotency.ts';
import { SQLSTATE_STALE_ROUTE } from './sqlstate.ts';

const replication = quoteIdentifier(ROLE.replication);

const MARKER = `
ALTER TABLE meridian.range ADD COLUMN origins text NOT NULL DEFAULT '';
CREATE TABLE meridian.move_marker (
  range text NOT NULL,
  marker text NOT NULL,
  PRIMARY KEY (range, marker)
);
GRANT SELECT ON meridian.move_marker TO ${replication};
`;

const REFUSE = `
CREATE FUNCTION meridian.refuse_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}', MESSAGE =
    pg_catalog.format('range %s is moving to another group', TG_TABLE_SCHEMA);
END $$;
`;

/**
 * Refuses when the group has had another leader or life since the copy was begun: rows that were applied,
 * and that no quorum had confirmed, may be lost then, and the source would not send them again.
 */
const OPEN = `
CREATE FUNCTION meridian.open_range(
  p_range text, p_epoch bigint, p_group_epoch bigint, p_origins text, p_sequences jsonb
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_epoch bigint;
BEGIN
  SELECT epoch INTO v_epoch FROM meridian.group_state FOR SHARE;
  IF v_epoch IS DISTINCT FROM p_group_epoch THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}', MESSAGE =
      pg_catalog.format('the group is at epoch %s, the copy was begun at %s', v_epoch, p_group_epoch);
  END IF;
  PERFORM pg_catalog.setval(
      pg_catalog.format('%I.%I', p_range, s.name)::pg_catalog.regclass, s.last_value, true)
    FROM pg_catalog.jsonb_to_recordset(p_sequences) AS s(name text, last_value bigint);
  UPDATE meridian.range SET state = 'open', origins = p_origins
    WHERE name = p_range AND epoch = p_epoch AND state = 'closed';
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}', MESSAGE =
      pg_catalog.format('range %s is not waiting here at epoch %s', p_range, p_epoch);
  END IF;
END $$;
REVOKE EXECUTE ON FUNCTION meridian.open_range(text, bigint, bigint, text, jsonb) FROM PUBLIC;
`;

/** As before (schema-idempotency.ts), of the ranges that are open here alone: a closed one takes no writes. */
const EXPIRE = `
CREATE OR REPLACE FUNCTION meridian.expire_keys(p_limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_range text;
  v_count bigint;
  v_total bigint := 0;
BEGIN
  FOR v_range IN SELECT name FROM meridian.range WHERE state = 'open' LOOP
    EXECUTE pg_catalog.format('DELETE FROM %1$I.${KEY_TABLE} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM %1$I.${KEY_TABLE} WHERE expires_at <= now() ORDER BY expires_at LIMIT $1))',
      v_range) USING p_limit;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_total := v_total + v_count;
  END LOOP;
  RETURN v_total;
END $$;
`;

export const MOVE_V4 = [MARKER, REFUSE, OPEN, EXPIRE].join('\n');
