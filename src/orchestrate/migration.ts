/**
 * Migrates the running platform: reads what each group and range has, tells what is pending, and lets
 * the engine reconcile. The decision is `pendingWork`, from one snapshot; a dry run ends there.
 */
import type { MigrationMessage, MigrationRequest, PendingWork } from '../control/migration.ts';
import type { DesiredState, Engine } from '../engines/engine.ts';
import type { ClusterSnapshot } from '../engines/snapshot.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { readMigrations, type MigrationFile } from '../migrations/files.ts';
import { lockWarnings, type PlacedWarning } from '../migrations/lock-warnings.ts';
import { planMigrations } from '../migrations/plan.ts';
import { reconcile } from './reconcile.ts';

export interface MigrationRun {
  readonly engine: Engine;
  /** With the migrations folder as it is now. */
  readonly desired: DesiredState;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly send: (message: MigrationMessage) => void;
}

interface Pending {
  readonly where: string;
  readonly files: readonly MigrationFile[];
  /** It has had migrations before, so that traffic may be on it. */
  readonly inUse: boolean;
}

/** Throws ERR_MIGRATION_CHANGED when files and records disagree about the past. Pure. */
export function pendingIn(desired: DesiredState, observed: ClusterSnapshot): Pending[] {
  const databases = desired.groups.map((group) => {
    const applied = observed.groups[group.name]?.databaseMigrations ?? [];
    return { where: `group ${group.name}`, applied, files: desired.databaseMigrations };
  });
  const ranges = desired.ranges.map((range) => {
    const applied = observed.ranges[range.name]?.migrations ?? [];
    return { where: `range ${range.name}`, applied, files: desired.regionalMigrations };
  });
  return [...databases, ...ranges]
    .map((of) => ({
      where: of.where,
      files: planMigrations(of).pending,
      inUse: of.applied.length > 0,
    }))
    .filter(({ files }) => files.length > 0);
}

/** The same statement warns once, however many ranges it will run in. */
function warningsOf(pending: readonly Pending[]): PlacedWarning[] {
  const placed = pending
    .filter(({ inUse }) => inUse)
    .flatMap(({ files }) => lockWarnings(files))
    .map((one) => [`${one.file}:${String(one.line)} ${one.warning.what}`, one] as const);
  return [...new Map(placed).values()];
}

function told(pending: readonly Pending[]): PendingWork[] {
  return pending.map(({ where, files }) => ({
    where,
    files: files.map(({ path, statements }) => ({ path, statements: statements.length })),
  }));
}

/** Never throws: the last message says how it went. */
export async function runMigration(
  request: Pick<MigrationRequest, 'dryRun'>,
  run: MigrationRun,
): Promise<void> {
  const { engine, desired, clock, log, signal, send } = run;
  const pendingNow = async (): Promise<Pending[]> =>
    pendingIn(desired, await engine.observe({ signal }));
  try {
    const pending = await pendingNow();
    send({ kind: 'plan', pending: told(pending), warnings: warningsOf(pending) });
    if (request.dryRun) {
      send({ kind: 'done' });
      return;
    }
    await reconcile(engine, desired, {
      ...{ clock, log, signal },
      onStep: ({ summary }, tookMs) => {
        send({ kind: 'step', summary, tookMs });
      },
    });
    send({ kind: 'done' });
  } catch (cause) {
    const error = isMeridianError(cause)
      ? cause
      : new MeridianError('ERR_INTERNAL', messageOf(cause), { cause });
    const { code, message, remedy } = error;
    log.error('a migration failed', { code, reason: message });
    send({
      kind: 'failed',
      error: { code, message, remedy },
      pending: told(await left(pendingNow)),
    });
  }
}

/** What is left is told as well as it can be: it may be the reason of the failure that it cannot. */
async function left(pendingNow: () => Promise<Pending[]>): Promise<Pending[]> {
  try {
    return await pendingNow();
  } catch {
    return [];
  }
}

/** One at a time: two would wait for each other's locks, and report each other's steps. */
export function oneMigrationAtATime(
  services: Pick<MigrationRun, 'engine' | 'desired' | 'clock' | 'log'> & {
    /** Read anew for each. */
    readonly directory: string;
  },
): (request: MigrationRequest, run: Pick<MigrationRun, 'signal' | 'send'>) => Promise<void> {
  let running = false;
  return async (request, run) => {
    if (running) throw new MeridianError('ERR_MIGRATION_RUNNING', 'a migration is running already');
    running = true;
    try {
      const files = await readMigrations(services.directory);
      await runMigration(request, {
        ...{ ...services, ...run },
        desired: {
          ...services.desired,
          tables: request.tables,
          databaseMigrations: files.database,
          regionalMigrations: files.regional,
        },
      });
    } finally {
      running = false;
    }
  };
}
