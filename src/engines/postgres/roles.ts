/** The database roles of an installation, least privilege each. */
export const ROLE = {
  /** Superuser, for the supervisor alone. */
  administrator: 'postgres',
  /** Streams WAL and copies global tables; reads them, writes nothing. */
  replication: 'meridian_replication',
  /** Owns the application's tables; nobody logs in as it. */
  owner: 'meridian_owner',
  /** The application's own: reads and writes rows, owns nothing, no superuser. */
  application: 'meridian_app',
  /** Writes global tables at the primary; the application becomes it in `global.write` alone. */
  globalWriter: 'meridian_global_writer',
} as const;

/** The database that holds everything of a group. */
export const DATABASE = 'postgres';
/** Schema of the global tables; follows the range's schema in the search path. */
export const GLOBAL_SCHEMA = 'global';
export const GLOBAL_PUBLICATION = 'meridian_global';
