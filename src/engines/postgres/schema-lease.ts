/**
 * Leases in the database, for the third schema version. A leader serves strong reads only while the
 * lease in its heartbeat row names it and has not run out: a leader that was cut off, and does not know
 * of its successor, stops by its own clock (arbiter/lease.ts has the other half, and the reason why
 * checking when a transaction opens is enough).
 *
 * The row is replicated like any other. That the holder's name is compared keeps a standby that was just
 * promoted from serving under its predecessor's lease, before the barrier.
 *
 * `clock` is the wall clock, moved by what fault injection has set for this server alone.
 */
import { CHECK_PLACE, CHECK_ROLE, STALE, USE_SCOPE } from './schema-admission.ts';
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { SQLSTATE_NO_LEASE, SQLSTATE_TOO_STALE } from './sqlstate.ts';

const app = quoteIdentifier(ROLE.application);

/** One row, always: `v` holds the group's state, the range's, and the heartbeat with its lease. */
const LOOK = `SELECT g.name, g.epoch, r.epoch AS range_epoch, r.state, h.at, h.holder, h.lease_until INTO v
  FROM meridian.group_state g LEFT JOIN meridian.heartbeat h ON true
  LEFT JOIN meridian.range r ON r.name = p_range;`;

export interface OpeningChecks {
  /** Reads what is checked into `v`. */
  readonly look: string;
  /** Refuses who is in the wrong place. */
  readonly place: string;
  /** Both on a replica, where they are others. */
  readonly replica?: { readonly look: string; readonly place: string };
}

/** The snapshot was taken before the clock is read: nobody else led when it was taken. */
const CHECK_LEASE = `
  IF v.holder IS DISTINCT FROM pg_catalog.current_setting('cluster_name')
    OR v.lease_until IS NULL OR v.lease_until <= meridian.clock() THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_NO_LEASE}',
      MESSAGE = 'this node has no valid lease';
  END IF;`;

/** The functions that open transactions, with a lease; later versions look at more. */
export function openingFunctions({ look, place, replica }: OpeningChecks): string {
  const there = replica ?? { look, place };
  return `
CREATE OR REPLACE FUNCTION meridian.enter(
  p_group text, p_group_epoch bigint, p_range text, p_range_epoch bigint, p_account text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  ${CHECK_ROLE}
  IF pg_catalog.pg_is_in_recovery() THEN
    ${STALE} 'this node does not lead its group';
  END IF;
  ${look}
  IF v.epoch IS DISTINCT FROM p_group_epoch THEN
    ${STALE} pg_catalog.format('the group is at epoch %s, the route says %s', v.epoch, p_group_epoch);
  END IF;
  ${place}
  ${CHECK_LEASE}
  ${USE_SCOPE}
END $$;

CREATE OR REPLACE FUNCTION meridian.enter_replica(
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
  ${there.look}
  epoch := v.epoch;
  IF p_max_staleness_ms IS NOT NULL THEN
    -- The leader's clock wrote it and ours reads it: they may be this far apart.
    v_age_ms := 1000 * extract(epoch FROM meridian.clock() - v.at)
      + coalesce(nullif(pg_catalog.current_setting('meridian.clock_offset_max_ms', true), ''), '0')::float8;
    IF v_age_ms IS NULL OR v_age_ms > p_max_staleness_ms THEN
      RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_TOO_STALE}',
        MESSAGE = pg_catalog.format('the replica is %s ms old, %s allowed',
          pg_catalog.round(v_age_ms), p_max_staleness_ms);
    END IF;
  END IF;
  ${there.place}
  ${USE_SCOPE}
END $$;
`;
}

export const LEASE_V3 = `
ALTER TABLE meridian.heartbeat ADD COLUMN holder text, ADD COLUMN lease_until timestamptz;

CREATE FUNCTION meridian.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  SELECT pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs =>
    coalesce(nullif(pg_catalog.current_setting('meridian.clock_offset_ms', true), ''), '0')::float8 / 1000)
$$;

CREATE FUNCTION meridian.beat(
  p_holder text, p_base text, p_lease_ms bigint, OUT clock text, OUT voters bigint
) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE meridian.heartbeat SET at = meridian.clock(), holder = p_holder,
    lease_until = CASE WHEN p_base IS NULL THEN lease_until
      ELSE p_base::timestamptz + pg_catalog.make_interval(secs => p_lease_ms / 1000.0) END
    RETURNING at::text INTO clock;
  SELECT pg_catalog.count(*) INTO voters FROM pg_catalog.pg_stat_replication
    WHERE state = 'streaming' AND sync_state <> 'async';
END $$;

${openingFunctions({ look: LOOK, place: CHECK_PLACE })}

REVOKE ALL ON FUNCTION meridian.beat(text, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION meridian.clock() TO ${app};
`;
