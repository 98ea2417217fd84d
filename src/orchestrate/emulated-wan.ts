/** The network between everything: emulated as declared, or the direct one. */
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Host } from '../kernel/host.ts';
import type { Log } from '../kernel/log.ts';
import type { Scope } from '../kernel/scope.ts';
import type { LatencyMatrix } from '../topology/region.ts';
import { directLinks, startWan, type Wan } from '../wan/wan.ts';
import { childEnvironment } from './environment.ts';

export async function openWan(parts: {
  readonly latency: {
    readonly matrix: LatencyMatrix;
    readonly scale: number;
    readonly emulated: boolean;
  };
  readonly host: Host;
  readonly logDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly scope: Scope;
  readonly fail: (error: MeridianError) => void;
}): Promise<Wan> {
  const { latency, host, logDirectory, clock, log, scope } = parts;
  if (!latency.emulated) return directLinks();
  const wan = await startWan({
    ...{ host, clock, log },
    latency: latency.matrix,
    scale: latency.scale,
    logFile: `${logDirectory}/wan.log`,
    env: childEnvironment(),
  });
  scope.push('emulated WAN', () => wan[Symbol.asyncDispose]());
  void wan.ended.then(() => {
    if (!scope.closed) {
      parts.fail(new MeridianError('ERR_PROCESS_FAILED', 'the emulated WAN ended unasked'));
    }
  });
  return wan;
}
