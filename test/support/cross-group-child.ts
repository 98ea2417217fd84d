/**
 * A client process that stops in the middle of transfers, each at a step of its own, and says so; then
 * it waits to be killed. The steps are the library's phases, and the points between the function's own
 * statements.
 *
 *   node cross-group-child.js '[{"from":"a0","to":"b0","stopAt":"prepared"}, …]'
 */
import { connectObserved } from '../../src/client/connect.ts';
import type { Phase } from '../../src/client/cross-group.ts';
import { pay } from './transfers.ts';

export type Step = Phase | 'paid' | 'half paid' | 'half finished';

export interface StoppedTransfer {
  readonly from: string;
  readonly to: string;
  /** A third account, in a group of its own. */
  readonly also?: string;
  /** Undefined: transfers again and again, and is killed wherever it is. */
  readonly stopAt?: Step;
}

const forever = new Promise<never>(() => {});

/** One client per transfer, so that the observer knows whose step it is. */
async function transfer({ from, to, also, stopAt }: StoppedTransfer): Promise<void> {
  if (stopAt === undefined) return keepPaying(from, to);
  let finished = 0;
  const stop = (): Promise<never> => {
    process.stdout.write(`${from}\n`);
    return forever;
  };
  const client = await connectObserved({ process: `stopped.${from}` }, (phase) => {
    if (phase === 'finished') finished += 1;
    if (stopAt === 'half finished' && phase === 'finished' && finished === 1) return stop();
    return phase === stopAt ? stop() : undefined;
  });
  const ids = [from, to, ...(also === undefined ? [] : [also])];
  await client.transaction(
    ids,
    async (tx) => {
      if (stopAt === 'half paid') {
        await tx[from]?.query('UPDATE purse SET coins = coins - 1 WHERE account_id = $1', [from]);
        await stop();
      }
      await pay(tx, { from, to, amount: 1 });
      if (also !== undefined) await pay(tx, { from: to, to: also, amount: 1 });
      if (stopAt === 'paid') await stop();
    },
    { timeoutMs: 60_000 },
  );
}

/** Transfers without a pause, until the kill. */
async function keepPaying(from: string, to: string): Promise<never> {
  const client = await connectObserved({ process: `busy.${from}` }, undefined);
  for (;;) await client.transaction([from, to], (tx) => pay(tx, { from, to, amount: 1 }));
}

const transfers = JSON.parse(process.argv[2] ?? '[]') as StoppedTransfer[];
// Ends with the test if that forgets it.
process.stdin.on('end', () => process.exit(1)).resume();
await Promise.all(transfers.map(transfer));
