/** Runs clients until they are told to stop; each ends its operation first. */
import type { Clock } from '../../kernel/clock.ts';
import type { Random } from '../../kernel/random.ts';
import type { Recorder } from '../recorder.ts';
import type { LoadClient } from './workload.ts';

export async function runLoad(
  clients: readonly LoadClient[],
  run: {
    readonly clock: Clock;
    readonly recorder: Recorder;
    readonly random: (name: string) => Random;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { clock, recorder, signal } = run;
  await Promise.all(
    clients.map(async (client) => {
      const random = run.random(`pause.${client.name}`);
      while (!signal.aborted && !recorder.full) {
        // Even spread: clients don't march in step.
        await clock.sleep(2 * client.thinkMs * random.next(), signal).catch(() => {});
        if (!signal.aborted) await client.step();
      }
    }),
  );
}
