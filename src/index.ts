/** The public surface, name by name: what an application or a configuration file may import. */
export { defineConfig } from './config/define.ts';
export type {
  AppConfig,
  ConfigInput,
  LatencyConfig,
  MeridianConfig,
  RegionConfig,
  TrafficConfig,
} from './config/define.ts';
export type {
  AccessLogConfig,
  AuthenticationConfig,
  GatewayConfig,
  IssuerConfig,
  RateLimitConfig,
  RateLimitsConfig,
} from './config/define-gateway.ts';
export {
  accountFromClaim,
  accountFromHeader,
  accountFromHost,
  accountFromPath,
  postgres,
} from './config/parts.ts';
export type { EngineConfig, PostgresConfig } from './config/parts.ts';
export type { AccountSource, ClaimBinding } from './gateway/options.ts';
export { global, regional } from './topology/locality.ts';
export type { TableLocality } from './topology/locality.ts';
export type { SurvivalGoal } from './topology/survival.ts';

export { connect } from './client/connect.ts';
export type { ConnectOptions } from './client/connect.ts';
export type { ClientLimits } from './client/options.ts';
export { idempotencyOf } from './client/idempotency.ts';
export type { IdempotentRequest } from './client/idempotency.ts';
export type {
  AccountClient,
  AccountTransactionOptions,
  ClientCounters,
  Committed,
  CreateAccountOptions,
  CreatedAccount,
  GlobalClient,
  Idempotency,
  MeridianClient,
  QueryResult,
  ReadOptions,
  Row,
  Transaction,
  TransactionOptions,
} from './client/api.ts';
export type { SqlPool } from './client/sql-tools/pool.ts';
export { mergeTokens } from './topology/position.ts';
export type { Token } from './topology/position.ts';
export type { AccountHome, AccountId } from './topology/routing.ts';

export { ERROR_CODES } from './kernel/error-codes.ts';
export type { ErrorCodeEntry } from './kernel/error-codes.ts';
export { isMeridianError, MeridianError } from './kernel/errors.ts';
export type { ErrorCode, MeridianErrorOptions, Outcome, RetryAdvice } from './kernel/errors.ts';
export type { Log, LogFields, LogLevel } from './kernel/log.ts';
