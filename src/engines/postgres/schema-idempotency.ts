/**
 * Idempotency keys of the second schema version: a table in each range, beside the accounts' own rows,
 * so that a key is written by the transaction it names and moves with its account.
 *
 * The unique index decides. A second transaction with the same key waits in `claim_key` until the first
 * has ended, whoever started it and whether or not anybody still listens to it. Hence a claim that
 * succeeds proves that no earlier transaction with the key was committed, or can be any more.
 *
 * None of the statements reads the index in the eyes of the serializable isolation (a claim is an
 * insert, an answer is kept at a known place): transactions with different keys never conflict here.
 */
import type { TableLocality } from '../../topology/locality.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { ROLE } from './roles.ts';
import { SQLSTATE_KEY_USED } from './sqlstate.ts';

/** Fenced like a table that the configuration declares (fence-rules.ts). */
export const KEY_TABLE = 'meridian_idempotency';
export const KEY_TABLE_LOCALITY: TableLocality = { kind: 'regional', by: 'account_id' };

const app = quoteIdentifier(ROLE.application);
const owner = quoteIdentifier(ROLE.owner);

/** Idempotent: for ranges that were there before this version, and for new ones. */
const MAKE_TABLE = `
CREATE FUNCTION meridian.make_key_table(p_range text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_table text := pg_catalog.format('%I.${KEY_TABLE}', p_range);
BEGIN
  IF pg_catalog.to_regclass(v_table) IS NOT NULL THEN RETURN; END IF;
  EXECUTE pg_catalog.format('CREATE TABLE %s (
    account_id text NOT NULL,
    key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    fingerprint text NOT NULL CHECK (octet_length(fingerprint) <= 255),
    answer text,
    gid text,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, key)
  ) WITH (fillfactor = 70)', v_table);
  EXECUTE pg_catalog.format('CREATE INDEX ON %s (expires_at)', v_table);
  EXECUTE pg_catalog.format('ALTER TABLE %s OWNER TO ${owner}', v_table);
  EXECUTE pg_catalog.format('GRANT SELECT, INSERT, UPDATE ON %s TO ${app}', v_table);
END $$;
`;

/**
 * Returns where the claim is. Raises SQLSTATE_KEY_USED when the key has been used: the transaction is aborted by
 * then, and a statement that was sent behind the claim does nothing.
 */
const CLAIM = `
CREATE FUNCTION meridian.claim_key(
  p_account text, p_key text, p_fingerprint text, p_keep_ms bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_place tid;
BEGIN
  INSERT INTO ${KEY_TABLE} AS kept (account_id, key, fingerprint, expires_at)
    VALUES (p_account, p_key, p_fingerprint, pg_catalog.now() + p_keep_ms * interval '1 millisecond')
    ON CONFLICT (account_id, key) DO UPDATE
      SET fingerprint = excluded.fingerprint, expires_at = excluded.expires_at, answer = NULL,
        gid = NULL
      WHERE kept.expires_at <= pg_catalog.now()
    RETURNING kept.ctid INTO v_place;
  IF v_place IS NULL THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_KEY_USED}', MESSAGE = 'the idempotency key has been used';
  END IF;
  RETURN v_place::text;
END $$;
`;

/** `p_gid`: of a transaction over several groups its name, which leads a replay to the other halves. */
const KEEP = `
CREATE FUNCTION meridian.keep_answer(p_place text, p_answer text, p_gid text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ${KEY_TABLE} SET answer = p_answer, gid = p_gid WHERE ctid = p_place::tid;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the idempotency key of this transaction is gone';
  END IF;
END $$;
`;

/**
 * Locks the row: that is written to the log, so the reader's commit waits for the quorum, and the
 * quorum then has the answer too. A plain read could show what only this one disk has.
 */
const KEPT = `
CREATE FUNCTION meridian.kept_answer(
  p_account text, p_key text, OUT fingerprint text, OUT answer text, OUT gid text
) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT kept.fingerprint, kept.answer, kept.gid FROM ${KEY_TABLE} AS kept
    WHERE kept.account_id = p_account AND kept.key = p_key AND kept.expires_at > pg_catalog.now()
    FOR UPDATE;
END $$;
`;

/** Removes what has expired, at most p_limit keys of each range; returns how many. */
const EXPIRE = `
CREATE FUNCTION meridian.expire_keys(p_limit integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  v_range text;
  v_count bigint;
  v_total bigint := 0;
BEGIN
  FOR v_range IN SELECT name FROM meridian.range LOOP
    EXECUTE pg_catalog.format('DELETE FROM %1$I.${KEY_TABLE} WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM %1$I.${KEY_TABLE} WHERE expires_at <= now() ORDER BY expires_at LIMIT $1))',
      v_range) USING p_limit;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    v_total := v_total + v_count;
  END LOOP;
  RETURN v_total;
END $$;
REVOKE EXECUTE ON FUNCTION meridian.expire_keys(integer) FROM PUBLIC;
`;

export const IDEMPOTENCY_V2 = `
${MAKE_TABLE}
${CLAIM}
${KEEP}
${KEPT}
${EXPIRE}
SELECT meridian.make_key_table(name) FROM meridian.range;
`;

/** For a new range, in the transaction that makes it. */
export function keyTableStatement(range: string): string {
  return `SELECT meridian.make_key_table(${quoteLiteral(range)});`;
}
