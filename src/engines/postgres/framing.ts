/** The statements that open a transaction, and a refusal of the first. Pure. */
import type pg from 'pg';
import { unreachable } from '../../kernel/assert.ts';
import type { Access, Scope, SessionTarget, StatementLimits } from '../connector.ts';
import { SQLSTATE_STALE_ROUTE, sqlStateOf } from './sqlstate.ts';

/** BEGIN with its limits, as one message: they hold for this transaction and leave nothing behind. */
export function beginText(access: Access, limits: StatementLimits): string {
  const { statementTimeoutMs } = limits;
  const lockTimeoutMs =
    limits.lockTimeoutMs ?? (access.kind === 'write' ? access.lockTimeoutMs : undefined);
  const statements =
    statementTimeoutMs === undefined
      ? ''
      : `; SET LOCAL statement_timeout = ${String(statementTimeoutMs)}`;
  const locks =
    lockTimeoutMs === undefined
      ? ''
      : `; SET LOCAL lock_timeout = ${String(Math.ceil(lockTimeoutMs))}`;
  return `${beginOf(access)}${statements}${locks}`;
}

function beginOf(access: Access): string {
  switch (access.kind) {
    case 'write':
      return 'BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE';
    case 'strong-read':
      return 'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY';
    case 'replica-read':
      // Standbys refuse SERIALIZABLE.
      return 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
    default:
      return unreachable(access);
  }
}

/** BEGIN of a serializable or writing transaction in recovery: feature_not_supported. */
const NOT_ON_A_STANDBY = '0A000';

/** A standby refuses to begin what only a leader can do, before `enter` could tell why. */
export function refusedBegin(error: unknown): unknown {
  if (sqlStateOf(error) !== NOT_ON_A_STANDBY) return error;
  return Object.assign(new Error('this node does not lead its group'), {
    code: SQLSTATE_STALE_ROUTE,
  });
}

export function enterOf({ group, access }: SessionTarget, scope: Scope): pg.QueryConfig {
  const route = [
    group,
    access.groupEpoch,
    scope.range?.name ?? null,
    scope.range?.epoch ?? null,
    scope.account ?? null,
  ];
  if (access.kind !== 'replica-read') {
    return {
      name: 'meridian_enter',
      text: 'SELECT meridian.enter($1, $2, $3, $4, $5)',
      values: route,
    };
  }
  return {
    name: 'meridian_enter_replica',
    text: `SELECT epoch::text AS epoch, (log - '0/0'::pg_lsn)::text AS log
           FROM meridian.enter_replica($1, $2, $3, $4, $5, $6)`,
    values: [...route, access.maxStalenessMs ?? null],
  };
}

/** With whom it is about: see sqlstate.ts. */
export function refusedEnter({ account }: Scope): (error: unknown) => unknown {
  return (error) => Object.assign(error as object, { account });
}
