/**
 * What it takes that accounts go from range to range, for the fifth schema version.
 *
 * `departed` says which accounts are not in a range any more, and where they went. Whoever has an old
 * answer of the directory is refused by it in its own snapshot, on leaders and replicas alike, and told the
 * range that has the account: it need not ask the directory, whose primary may be far away or down.
 *
 * A writer that had entered before its account left is refused too, when it writes or commits: it has read
 * here that the account has not left, and the transfer has read the account's rows. Each would have to be
 * before the other, which the serializable isolation does not allow (ranges/transfer.ts).
 */
import { openingFunctions } from './schema-lease.ts';
import { CHECK_PLACE } from './schema-admission.ts';
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { SQLSTATE_DEPARTED, SQLSTATE_STALE_ROUTE } from './sqlstate.ts';

const app = quoteIdentifier(ROLE.application);
const writer = quoteIdentifier(ROLE.globalWriter);

/** As before (schema-lease.ts), and where the account went. */
const COLUMNS = `g.name, g.epoch, r.epoch AS range_epoch, r.state, h.at, h.holder, h.lease_until,
    d.into_range`;
const ROWS = `FROM meridian.group_state g LEFT JOIN meridian.heartbeat h ON true
  LEFT JOIN meridian.range r ON r.name = p_range
  LEFT JOIN meridian.departed d ON d.range = p_range AND d.account = p_account`;
const LOOK = `SELECT ${COLUMNS} INTO v ${ROWS};`;
const LOOK_ON_REPLICA = `SELECT ${COLUMNS}, a.range AS told INTO v ${ROWS}
  LEFT JOIN meridian.account a ON a.id = p_account;`;

/** The range is named in a field of its own: texts are for people. */
const CHECK_DEPARTED = `${CHECK_PLACE}
  IF v.into_range IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_DEPARTED}',
      MESSAGE = pg_catalog.format('the account has left range %s', p_range), SCHEMA = v.into_range;
  END IF;`;

/**
 * Whoever has been told where an account is now may ask a replica that has not replayed its arrival, and
 * would be shown an account without rows. The copy of the directory in this snapshot knows better: it is
 * written after the arrival, in the same log. An account that it does not know yet was never anywhere else.
 */
const CHECK_ARRIVED = `${CHECK_DEPARTED}
  IF v.told IS DISTINCT FROM p_range AND v.told IS NOT NULL AND p_account IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
      MESSAGE = pg_catalog.format('the account is not known here to be in range %s', p_range);
  END IF;`;

export const TRANSFER_V5 = `
CREATE TABLE meridian.departed (
  range text NOT NULL,
  account text NOT NULL,
  into_range text NOT NULL,
  PRIMARY KEY (range, account)
);
GRANT SELECT ON meridian.departed TO ${app}, ${writer};
${openingFunctions({
  ...{ look: LOOK, place: CHECK_DEPARTED },
  replica: { look: LOOK_ON_REPLICA, place: CHECK_ARRIVED },
})}
`;
