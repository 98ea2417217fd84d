/**
 * What an operator asks of a replication group or of a range, as the supervisor and those who ask speak of it: POST
 * /v1/operation, answered by OperationEvents, one a line, as they happen. Closing the connection lets
 * the step under way go on, and begins no other.
 */
import { MeridianError } from '../kernel/errors.ts';

export type OperationRequest =
  /** Planned change of the leader: to a node, or to the best voter of a zone or region. */
  | {
      readonly kind: 'switchover';
      readonly group: string;
      readonly to?: string | undefined;
      readonly region?: string | undefined;
      readonly zone?: string | undefined;
    }
  /** A replica is copied anew. */
  | { readonly kind: 'rebuild'; readonly node: string }
  /** Opens a group from what is left of it, after a person has accepted the loss that was stated. */
  | { readonly kind: 'recover'; readonly group: string; readonly acceptLoss: boolean }
  /** A range goes to another group, named by its name or by its home region. */
  | { readonly kind: 'move'; readonly range: string; readonly to: string }
  /** Its move ends: it stays where it was. */
  | { readonly kind: 'cancel-move'; readonly range: string }
  /** Accounts of a range get one of their own, in the same group. */
  | { readonly kind: 'split'; readonly range: string; readonly accounts: readonly string[] }
  /** A range that was made so goes into another one of its group. */
  | { readonly kind: 'merge'; readonly range: string; readonly into: string }
  /** Accounts go to another group, named by its name or by its home region, wherever they are. */
  | {
      readonly kind: 'rehome';
      readonly accounts: readonly string[];
      readonly to: string;
      /** That of the region's groups that they go to; null, or absent: of none. */
      readonly residency?: string | null | undefined;
      /** They may be pinned otherwise than they are. */
      readonly repin?: boolean | undefined;
    }
  /** Everything leaves a region, so that the declaration can leave it out. */
  | { readonly kind: 'drain'; readonly region: string }
  /** It stays after all: new accounts are put there again. */
  | { readonly kind: 'restore'; readonly region: string }
  /** A split, merge or re-homing ends: what has not arrived goes back. */
  | { readonly kind: 'cancel-transfer'; readonly number: string };

/** What is done to a region as a whole is many operations. */
export type OfRegion = Extract<OperationRequest, { kind: 'drain' | 'restore' }>;

/** In bytes, or in accounts. */
export type OperationProgress =
  | { readonly doneBytes: number; readonly totalBytes: number | null }
  | { readonly doneAccounts: number; readonly totalAccounts: number };

export type OperationEvent =
  | { readonly kind: 'begun'; readonly summary: string }
  /** `atMs`: since it was begun. */
  | { readonly kind: 'phase'; readonly phase: string; readonly atMs: number }
  | ({
      readonly kind: 'progress';
      /** The step that it is the progress of. */
      readonly what: string;
    } & OperationProgress)
  | { readonly kind: 'ended'; readonly summary: string; readonly tookMs: number };

export interface OperationOptions {
  /** Aborted: the step under way is finished, and no other begun. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: OperationEvent) => void) | undefined;
}

const NAME_LENGTH_MAX = 128;
/** What one request may be about; larger plans are several. */
export const OPERATION_ACCOUNTS_MAX = 20_000;

/** Throws ERR_CONTROL_REQUEST. */
export function parseOperation(body: string): OperationRequest {
  let asked: Readonly<Record<string, unknown>> | null = null;
  try {
    asked = JSON.parse(body) as Readonly<Record<string, unknown>> | null;
  } catch {
    // Refused below, like any other wrong shape.
  }
  const { kind, group, node, range, to, into, region, zone, accounts, number, acceptLoss } =
    asked ?? {};
  switch (kind) {
    case 'switchover': {
      if (!isName(group) || ![to, region, zone].every(isNameOrNone)) throw unreadable();
      const place = { region, zone } as { region?: string; zone?: string };
      if (to === undefined) return { kind, group, ...place };
      if (region !== undefined || zone !== undefined) {
        throw unreadable('a new leader is named by its own name or by its place, not by both');
      }
      return { kind, group, to: to as string };
    }
    case 'rebuild':
      if (!isName(node)) throw unreadable();
      return { kind, node };
    case 'recover':
      if (!isName(group) || typeof acceptLoss !== 'boolean') throw unreadable();
      return { kind, group, acceptLoss };
    case 'move':
      if (!isName(range) || !isName(to)) throw unreadable();
      return { kind, range, to };
    case 'cancel-move':
      if (!isName(range)) throw unreadable();
      return { kind, range };
    case 'split':
      if (!isName(range) || !areAccounts(accounts)) throw unreadable();
      return { kind, range, accounts };
    case 'merge':
      if (!isName(range) || !isName(into)) throw unreadable();
      return { kind, range, into };
    case 'rehome':
      if (!isName(to) || !areAccounts(accounts)) throw unreadable();
      return { kind, accounts, to, ...pinning(asked) };
    case 'cancel-transfer':
      if (!isName(number)) throw unreadable();
      return { kind, number };
    case 'drain':
    case 'restore':
      if (!isName(region)) throw unreadable();
      return { kind, region };
    default:
      throw unreadable();
  }
}

function pinning(asked: Readonly<Record<string, unknown>> | null): {
  residency?: string | null;
  repin?: boolean;
} {
  const { residency, repin } = asked ?? {};
  if (residency !== null && !isNameOrNone(residency)) throw unreadable();
  if (repin !== undefined && typeof repin !== 'boolean') throw unreadable();
  return {
    ...(residency === undefined ? {} : { residency: residency as string | null }),
    ...(repin === undefined ? {} : { repin }),
  };
}

/** Names end up in messages and logs: bounded, and printable. */
function isName(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= NAME_LENGTH_MAX && /^[\x21-\x7e]+$/.test(value)
  );
}

function areAccounts(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isName)) return false;
  if (value.length <= OPERATION_ACCOUNTS_MAX) return true;
  throw unreadable(`at most ${String(OPERATION_ACCOUNTS_MAX)} accounts are named at a time`);
}

function isNameOrNone(value: unknown): boolean {
  return value === undefined || isName(value);
}

function unreadable(message = 'the body is not a request for an operation'): MeridianError {
  return new MeridianError('ERR_CONTROL_REQUEST', message);
}
