/**
 * Every error code Meridian can throw: one table, so that a code means the same everywhere and the
 * reference page (docs/reference/errors.md) can be checked against it in both directions.
 *
 * `retry` tells a caller what may help:
 *   now       the same call again, at once (a serialization conflict, a refreshed route)
 *   backoff   the same call again, after waiting (a node restarting, a full pool)
 *   operator  a person or a configuration change is needed
 *   never     the call itself is wrong
 */
export type RetryAdvice = 'now' | 'backoff' | 'operator' | 'never';

export interface ErrorCodeEntry {
  readonly retry: RetryAdvice;
  /** HTTP status the gateway or an application may answer with. */
  readonly status: number;
  /** What to do about it, for a reader who sees only this line. */
  readonly remedy: string;
}

const entry = (retry: RetryAdvice, status: number, remedy: string): ErrorCodeEntry => ({
  retry,
  status,
  remedy,
});

export const ERROR_CODES = {
  // Configuration and start
  ERR_USAGE: entry('never', 400, 'Run `meridian help` for the commands and their options.'),
  ERR_CONFIG_NOT_FOUND: entry(
    'operator',
    500,
    'Create meridian.config.ts here, or pass --config <file>.',
  ),
  ERR_CONFIG_INVALID: entry(
    'operator',
    500,
    'Correct the named key; `meridian config` prints the resolved whole.',
  ),
  ERR_CONFIG_LOAD: entry(
    'operator',
    500,
    'Make the configuration file importable: run it through the TypeScript compiler.',
  ),
  ERR_SCHEMA_MISMATCH: entry(
    'operator',
    500,
    'Declare the table under `tables`, or correct its migration, so that both say the same.',
  ),
  ERR_MIGRATION_INVALID: entry(
    'operator',
    500,
    'Correct the named migration file; nothing of it was applied.',
  ),
  ERR_MIGRATION_FAILED: entry(
    'operator',
    500,
    'Correct the named statement and start again: migrations resume after the last one applied.',
  ),
  ERR_MIGRATION_RUNNING: entry(
    'backoff',
    409,
    'Wait for the other `meridian migrate` to end, then run it again.',
  ),
  ERR_MIGRATION_CHANGED: entry(
    'operator',
    500,
    'Restore the applied file and put the change into a new migration.',
  ),
  ERR_PORT_TAKEN: entry(
    'operator',
    500,
    'Stop the program that listens there, or configure another port.',
  ),
  ERR_DATA_DIRECTORY: entry(
    'operator',
    500,
    'Make the data directory writable, or set `dataDirectory` to one that is.',
  ),
  ERR_DATA_VERSION: entry(
    'operator',
    500,
    'Start with --fresh to discard the data, or run the version of Meridian that wrote it.',
  ),
  ERR_ALREADY_RUNNING: entry(
    'operator',
    500,
    'Stop the other `meridian up` of this data directory first.',
  ),
  ERR_NOT_RUNNING: entry(
    'operator',
    503,
    'Start the platform with `meridian up` (or `npm start`).',
  ),
  ERR_POSTGRES_MISSING: entry(
    'operator',
    500,
    'Install the package named, with optional dependencies enabled.',
  ),
  ERR_POSTGRES_UNUSABLE: entry(
    'operator',
    500,
    'Install the shared library or grant the access that the message names.',
  ),
  ERR_PROCESS_FAILED: entry('operator', 500, "Read the process's log, named in the message."),
  ERR_START_TIMEOUT: entry(
    'operator',
    500,
    'Read the logs under the data directory; a slow disk may need a longer `startTimeoutMs`.',
  ),
  ERR_STOP_FAILED: entry(
    'operator',
    500,
    'Look for processes left under the data directory and stop them.',
  ),
  // Database engine
  ERR_ENGINE_UNSUPPORTED: entry(
    'never',
    501,
    'Use an engine whose capabilities include this, or do without it.',
  ),
  ERR_ENGINE_CLOSED: entry(
    'never',
    503,
    'Do not use a connection, engine or client after closing it.',
  ),
  ERR_ENGINE_NO_NODE: entry(
    'backoff',
    503,
    'Wait for a node that meets the target, or relax the consistency asked for.',
  ),
  ERR_ENGINE_TOO_STALE: entry(
    'backoff',
    503,
    'Allow more staleness, or read from the leaseholder.',
  ),
  ERR_ENGINE_STALE_ROUTE: entry(
    'now',
    421,
    'Refresh the route and try again; the client library does so by itself.',
  ),
  ERR_ENGINE_SERIALIZATION: entry('now', 409, 'Run the whole transaction again.'),
  ERR_ENGINE_COMMIT_UNKNOWN: entry(
    'never',
    503,
    'Check whether the transaction took effect before repeating it, or make it idempotent.',
  ),
  ERR_ENGINE_UNAVAILABLE: entry(
    'backoff',
    503,
    'Try again shortly; the node is starting, stopping or unreachable.',
  ),
  ERR_ENGINE_OVERLOADED: entry('backoff', 503, 'Try again later, or raise the pool limit.'),
  ERR_ENGINE_STATEMENT: entry(
    'never',
    500,
    'Correct the SQL statement; the cause carries the SQLSTATE.',
  ),
  ERR_STATEMENT_REFUSED: entry(
    'never',
    500,
    'Leave transaction and settings to the library; savepoints and SET LOCAL are allowed.',
  ),
  ERR_STATEMENT_TIMEOUT: entry(
    'backoff',
    504,
    'Allow more by statementTimeoutMs, or make the statement faster.',
  ),
  ERR_LOCK_TIMEOUT: entry(
    'backoff',
    503,
    'Try again later, or allow more by lockTimeoutMs; another transaction holds the lock.',
  ),
  ERR_ENGINE_PERMISSION: entry(
    'never',
    500,
    'Use the operation meant for this table: global tables are written by global.write.',
  ),
  ERR_ENGINE_READ_ONLY: entry(
    'never',
    500,
    'Write in `transaction` or `global.write`; reads cannot.',
  ),
  // Client library
  ERR_ACCOUNT_NOT_FOUND: entry('never', 404, 'Create the account first, with createAccount.'),
  ERR_ACCOUNT_EXISTS: entry('never', 409, 'Use the existing account, or another id.'),
  ERR_ACCOUNT_INVALID: entry('never', 400, 'Pass an account id of 1 to 128 printable characters.'),
  ERR_CROSS_GROUP_TRANSACTION: entry(
    'never',
    501,
    'Keep the accounts of one transaction in one replication group: this engine needs it.',
  ),
  ERR_RETRIES_EXHAUSTED: entry(
    'backoff',
    503,
    'Try again later; look for contention on the rows involved.',
  ),
  ERR_DEADLINE_EXCEEDED: entry(
    'backoff',
    504,
    'Allow more time, or look for what is slow with `meridian status`.',
  ),
  ERR_ABORTED: entry('never', 499, 'Nothing: the caller cancelled.'),
  ERR_TOKEN_INVALID: entry(
    'never',
    400,
    'Drop the token: read without it, or with one the platform issued.',
  ),
  ERR_IDEMPOTENCY_KEY_INVALID: entry(
    'never',
    400,
    'Send one key of 1 to 255 visible ASCII characters, a new one for each new request.',
  ),
  ERR_IDEMPOTENCY_KEY_USED: entry(
    'now',
    409,
    'Nothing: the client library answers with what the transaction of this key returned.',
  ),
  ERR_IDEMPOTENCY_MISMATCH: entry(
    'never',
    422,
    'Repeat the same request with its key, or send a new request with a new key.',
  ),
  ERR_IDEMPOTENCY_ANSWER: entry(
    'never',
    500,
    'Return a value from the transaction that JSON can hold, of at most 64 KiB.',
  ),
  ERR_TRANSACTION_CLOSED: entry('never', 500, 'Await every query inside the transaction function.'),
  ERR_TRANSACTION_NESTED: entry(
    'never',
    500,
    'Use the inner transaction, or its own nesting, instead of the pool that it came from.',
  ),
  ERR_CONTROL_UNAVAILABLE: entry(
    'backoff',
    503,
    'Check that `meridian up` runs and that MERIDIAN_CONTROL_URL points to it.',
  ),
  ERR_CONTROL_UNAUTHORIZED: entry(
    'operator',
    401,
    'Pass the control token of this installation: `meridian up` sets MERIDIAN_CONTROL_TOKEN.',
  ),
  ERR_CONTROL_REQUEST: entry(
    'never',
    400,
    'Correct the request to the control server, as the message says.',
  ),
  ERR_RESTART_UNDER_WAY: entry(
    'backoff',
    409,
    'Wait until the restart that is under way has ended: there is never more than one.',
  ),
  ERR_RESTART_HELD_UP: entry(
    'backoff',
    503,
    'See the log of the gateway that the message names; restart again once it answers.',
  ),
  // Gateway
  ERR_GATEWAY_NO_ACCOUNT: entry(
    'never',
    400,
    'Name the account in the request as the configuration declares.',
  ),
  ERR_GATEWAY_NO_APP_SERVER: entry('backoff', 503, 'Try again shortly; no app server is ready.'),
  ERR_GATEWAY_MISDIRECTED: entry(
    'never',
    421,
    'Send the request to a gateway once; it has been forwarded already.',
  ),
  ERR_GATEWAY_BODY_TOO_LARGE: entry(
    'never',
    413,
    'Send a smaller body, or raise gateway.bodyLimitBytes.',
  ),
  ERR_GATEWAY_UPSTREAM: entry(
    'backoff',
    503,
    'Check whether the request took effect before repeating it unless its method is idempotent.',
  ),
  ERR_GATEWAY_HEADERS_TOO_LARGE: entry(
    'never',
    431,
    'Send fewer or shorter headers, or raise gateway.headerBytesMax or gateway.headersMax.',
  ),
  ERR_GATEWAY_URL_TOO_LONG: entry(
    'never',
    414,
    'Send a shorter URL, or raise gateway.urlBytesMax.',
  ),
  ERR_GATEWAY_REQUEST_TIMEOUT: entry('backoff', 408, 'Send the whole request without long pauses.'),
  ERR_GATEWAY_DRAINING: entry('backoff', 503, 'Try again; this gateway is stopping.'),
  ERR_GATEWAY_OVERLOADED: entry(
    'backoff',
    503,
    'Try again later, or raise gateway.concurrencyMax.',
  ),
  ERR_GATEWAY_REQUEST_INVALID: entry(
    'never',
    400,
    'Correct the part of the request that the message names.',
  ),
  ERR_GATEWAY_UNSUPPORTED: entry(
    'never',
    501,
    'Use plain HTTP requests or WebSockets: no other upgrades, no tunnels.',
  ),
  ERR_GATEWAY_UNAUTHENTICATED: entry(
    'never',
    401,
    'Send a bearer token of a declared issuer in the Authorization header.',
  ),
  ERR_GATEWAY_BEARER_INVALID: entry(
    'never',
    401,
    'Get a new token from the issuer, for the audience that the gateway is configured with.',
  ),
  ERR_GATEWAY_FORBIDDEN: entry(
    'never',
    403,
    'Use an account that the bearer token is for, or a token that is for this account.',
  ),
  ERR_GATEWAY_KEYS_UNAVAILABLE: entry(
    'backoff',
    503,
    'Try again shortly; the operator checks whether the issuer answers at its jwksUrl.',
  ),
  ERR_GATEWAY_RATE_LIMITED: entry(
    'backoff',
    429,
    'Wait as long as Retry-After says, and send fewer requests.',
  ),
  // Operations and faults on purpose
  ERR_OPERATION_REFUSED: entry(
    'operator',
    409,
    'Do what the message asks for first; `meridian status` shows the state it speaks of.',
  ),
  ERR_RANGE_DIFFERS: entry(
    'operator',
    500,
    'Compare the named schemas: the former copy is kept as it was, the new one serves.',
  ),
  ERR_CHAOS_REFUSED: entry(
    'never',
    409,
    'Choose another fault or target; faults are for embedded clusters unless forced.',
  ),
  ERR_HOST_DOWN: entry(
    'backoff',
    503,
    'Bring the machine back; of a fault on purpose, `meridian chaos heal` does.',
  ),
  ERR_VERIFICATION_FAILED: entry(
    'operator',
    500,
    'Read the violation: it names a history that breaks a promise, and the seed that repeats it.',
  ),
  // The conformance suite
  ERR_CONFORMANCE: entry(
    'never',
    500,
    'Correct the engine adapter so that the law that the message quotes holds.',
  ),
  // Faults of our own
  ERR_INTERNAL: entry(
    'never',
    500,
    'Report this as a bug, with the message and the log around it.',
  ),
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;
