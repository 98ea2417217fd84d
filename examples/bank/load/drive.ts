/** A whole run: reference data, accounts, load, and the ledger against SQL. */
import { seedReferenceData } from '../seeding.ts';
import { GatewayClients } from './client.ts';
import { Ledger } from './ledger.ts';
import { createMix } from './mix.ts';
import type { DriveOptions } from './options.ts';
import { pauseUntilRemoved } from './pause.ts';
import type { PerformParts } from './perform.ts';
import { showProgress } from './progress.ts';
import { closeRegions, connectRegions, type PlatformAddress } from './regions.ts';
import { summarize, type Summary } from './report.ts';
import { runLoad } from './run.ts';
import { createSchedule } from './schedule.ts';
import { Sessions } from './sessions.ts';
import { openAccounts } from './setup.ts';
import { Tally } from './tally.ts';
import { readAccounts } from './verify.ts';

export interface DriveParts {
  readonly platform: PlatformAddress;
  /** Ends the load early; in-flight requests and the verification still complete. */
  readonly stop: AbortSignal;
  /** Progress lines; the summary is the caller's to print. */
  readonly out: NodeJS.WriteStream;
}

/** Balance reads that carry the token of the client's last write or opening. */
const TOKEN_SHARE = 0.5;
/** Looked up in turn; all are in ISO 3166. */
const COUNTRIES = ['US', 'CA', 'BR', 'IE', 'DE', 'FR', 'IN', 'JP', 'SG', 'AU', 'ZA', 'KE'];

export async function drive(options: DriveOptions, parts: DriveParts): Promise<Summary> {
  const regions = [...parts.platform.gateways.keys()];
  const tally = new Tally(regions);
  const clients = new GatewayClients(parts.platform.gateways, {
    noteRetries: (server, retries) => {
      tally.noteRetries(server, retries);
    },
    noteFault: (fault) => {
      tally.noteFault(fault);
    },
    noteLoss: (region, code) => {
      tally.noteLoss({ region, code, atMs: Date.now() });
    },
  });
  const databases = await connectRegions(parts.platform, 'drive');
  const books: PerformParts = {
    clients,
    tally,
    ledger: new Ledger(),
    sessions: new Sessions(),
  };
  try {
    await seedReferenceData(databases);
    const runId = `run-${Date.now().toString(36)}`;
    const accounts = await openAccounts(books, { ...options, runId, regions, stop: parts.stop });
    const seconds = await load(options, { ...parts, books, runId, accounts });
    if (options.pauseFile !== undefined) await pauseUntilRemoved(options.pauseFile);
    const { observed, failures } = await readAccounts(databases, accounts);
    for (const failure of failures.slice(0, 3)) parts.out.write(`not read: ${failure}\n`);
    const { seed, warmUpSeconds, rate } = options;
    return summarize({ seed, seconds, warmUpSeconds, rate }, tally, books.ledger.compare(observed));
  } finally {
    await clients.close();
    await closeRegions(databases);
  }
}

interface LoadParts extends DriveParts {
  readonly books: PerformParts;
  readonly runId: string;
  readonly accounts: Readonly<Record<string, readonly string[]>>;
}

async function load(options: DriveOptions, parts: LoadParts): Promise<number> {
  const regions = Object.keys(parts.accounts);
  const mixes = new Map(
    regions.map((region) => [
      region,
      createMix({
        ...options,
        region,
        accounts: parts.accounts,
        countries: COUNTRIES,
        tokenShare: TOKEN_SHARE,
      }),
    ]),
  );
  const progress = { inFlight: 0 };
  const endProgress = showProgress(parts.out, parts.books.tally, progress);
  try {
    const { seed, rate, arrivals } = options;
    return await runLoad(
      {
        ...options,
        runId: parts.runId,
        stop: parts.stop,
        nextArrival: createSchedule({
          ...{ seed, regions, perSecond: rate, pattern: arrivals },
          rampMs: options.warmUpSeconds * 1_000,
        }),
        nextRequest: (region) => {
          const next = mixes.get(region);
          if (next === undefined) throw new Error(`no mix for ${region}`);
          return next();
        },
      },
      parts.books,
      progress,
    );
  } finally {
    endProgress();
  }
}
