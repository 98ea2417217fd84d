/** Changes of the functions that open transactions (see schema.ts), for the second schema version. */
import { SQLSTATE_STALE_ROUTE } from './sqlstate.ts';

/**
 * `enter` also knows the group's name: an address that another group's server took over would
 * otherwise be let in when their epochs are equal.
 */
export const ADMISSION_V2 = `
CREATE FUNCTION meridian.check_group(p_group text) RETURNS void LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_name text;
BEGIN
  SELECT name INTO v_name FROM meridian.group_state;
  IF v_name IS DISTINCT FROM p_group THEN
    RAISE EXCEPTION USING ERRCODE = '${SQLSTATE_STALE_ROUTE}',
      MESSAGE = pg_catalog.format('this node belongs to group %s, not %s', v_name, p_group);
  END IF;
END $$;
`;
