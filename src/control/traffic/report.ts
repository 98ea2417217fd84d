/** What a process tells of its accounts' traffic: POST /v1/traffic. */
import { MeridianError } from '../../kernel/errors.ts';

export interface TrafficReport {
  /** Where the clients are that it counted. */
  readonly region: string;
  /** Accesses since its last report. */
  readonly accounts: readonly (readonly [account: string, accesses: number])[];
}

export const REPORT_ACCOUNTS_MAX = 1_000;
/** As many of the longest names. */
export const TRAFFIC_BODY_MAX_BYTES = 256 * 1024;
const NAME_LENGTH_MAX = 128;
const ACCESSES_MAX = 1_000_000_000;

/** Throws ERR_CONTROL_REQUEST. */
export function parseTraffic(body: string): TrafficReport {
  let told: Partial<Record<keyof TrafficReport, unknown>> | null = null;
  try {
    told = JSON.parse(body) as typeof told;
  } catch {
    // Refused below, like any other wrong shape.
  }
  const { region, accounts }: Partial<Record<keyof TrafficReport, unknown>> = told ?? {};
  if (
    !isName(region) ||
    !Array.isArray(accounts) ||
    accounts.length > REPORT_ACCOUNTS_MAX ||
    !accounts.every(isEntry)
  ) {
    throw new MeridianError('ERR_CONTROL_REQUEST', 'the body is not a report of traffic');
  }
  return { region, accounts };
}

function isEntry(entry: unknown): entry is readonly [string, number] {
  if (!Array.isArray(entry) || entry.length !== 2) return false;
  const [account, accesses] = entry as unknown[];
  return (
    isName(account) &&
    Number.isSafeInteger(accesses) &&
    (accesses as number) >= 0 &&
    (accesses as number) <= ACCESSES_MAX
  );
}

function isName(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= NAME_LENGTH_MAX && /^[\x21-\x7e]+$/.test(value)
  );
}
