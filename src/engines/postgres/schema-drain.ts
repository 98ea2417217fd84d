/**
 * What it takes that a group gets no new accounts, for the sixth schema version.
 *
 * Clients put new accounts where their routes say that some are taken, and may not have heard the newest. So the
 * primary's database refuses them itself. An account that is opened at the same moment has read here that its
 * range takes some, and whoever looks afterwards whether the range is empty has not seen it: each would have
 * to be before the other, which the serializable isolation does not allow (ranges/draining.ts).
 */
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';
import { SQLSTATE_STALE_ROUTE } from './sqlstate.ts';

const writer = quoteIdentifier(ROLE.globalWriter);

/** Accounts that come with replication are not asked: triggers do not fire for it (docs, 29.7). */
export const DRAIN_V6 = `
CREATE TABLE meridian.draining (range text PRIMARY KEY);
GRANT SELECT ON meridian.draining TO ${writer};
CREATE FUNCTION meridian.refuse_draining() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM meridian.draining WHERE range = NEW.range) THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
      MESSAGE = pg_catalog.format('range %s takes no new accounts', NEW.range);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER draining BEFORE INSERT ON meridian.account
  FOR EACH ROW EXECUTE FUNCTION meridian.refuse_draining();
`;
