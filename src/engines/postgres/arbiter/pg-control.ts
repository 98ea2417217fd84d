/**
 * What a server's control file says of its last shutdown: the head of ControlFileData in PostgreSQL's
 * pg_control.h, which has been the same since version 9.6. Little-endian, as every machine that there
 * are server packages for.
 */
export const CONTROL_BYTES = 48;

/** DBState of pg_control.h, in its order. */
const STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;

export interface ControlHead {
  readonly systemIdentifier: bigint;
  readonly state: (typeof STATES)[number] | 'unknown';
  /** Where the last checkpoint's record begins. */
  readonly checkpoint: bigint;
}

export function readControl(head: Buffer): ControlHead {
  return {
    systemIdentifier: head.readBigUInt64LE(0),
    // After the identifier and two versions; then four bytes of alignment and the time.
    state: STATES[head.readUInt32LE(16)] ?? 'unknown',
    checkpoint: head.readBigUInt64LE(32),
  };
}
