/**
 * A client process that stops in the middle of transfers, each at a step of its own, and says so; then
 * it waits to be killed. The steps are the library's phases, and the points between the function's own
 * statements.
 *
 *   node cross-group-child.js '[{"from":"a0","to":"b0","stopAt":"prepared"}, …]'
 */
import { connectObserved } from '../../src/client/connect.ts';
import { answerOf, idsOf, type StoppedTransfer } from './killed-client.ts';
import { pay } from './transfers.ts';

const forever = new Promise<never>(() => {});

/** One client per transfer, so that the observer knows whose step it is. */
async function transfer(asked: StoppedTransfer): Promise<void> {
  const { from, to, also, stopAt } = asked;
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
  await client.transaction(
    idsOf(asked),
    async (tx) => {
      if (stopAt === 'half paid') {
        await tx[from]?.query('UPDATE purse SET coins = coins - 1 WHERE account_id = $1', [from]);
        await stop();
      }
      await pay(tx, { from, to, amount: 1 });
      if (also !== undefined) await pay(tx, { from: to, to: also, amount: 1 });
      if (stopAt === 'paid') await stop();
      return answerOf(from, process.pid);
    },
    { timeoutMs: 60_000, ...keyedBy(asked) },
  );
}

function keyedBy({ key }: StoppedTransfer): { idempotency?: { key: string } } {
  return key === undefined ? {} : { idempotency: { key } };
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
