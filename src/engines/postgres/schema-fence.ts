/** What the tenant fence (fence-rules.ts) needs of the roles, for the second schema version. */
import { quoteIdentifier } from './quote.ts';
import { ROLE } from './roles.ts';

/**
 * Copies must be whole: a role without BYPASSRLS that reads a fenced table copies no row of it, and no
 * error says so. The owner and the administrator bypass the fence by themselves.
 *
 * A session that became the global writer for longer than its transaction is still asked for its position
 * after the commit, before it is closed.
 */
export const FENCE_V2 = `
ALTER ROLE ${quoteIdentifier(ROLE.replication)} BYPASSRLS;
GRANT SELECT ON meridian.group_state TO ${quoteIdentifier(ROLE.globalWriter)};
`;
