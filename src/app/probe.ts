/** One health check: does the server answer 2xx in time? Never throws. */
import { request } from 'node:http';
import type { Clock } from '../kernel/clock.ts';

export interface ProbeOptions {
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * A connection of its own each time: a kept one would hold up a server that drains by waiting for its
 * connections to end, and would not notice one that accepts no new ones.
 */
export function probe(options: ProbeOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = request({
      host: '127.0.0.1',
      port: options.port,
      path: options.path,
      agent: false,
      headers: { connection: 'close', 'user-agent': 'meridian-health' },
    });
    const done = (passed: boolean): void => {
      cancel();
      asking.destroy();
      resolve(passed);
    };
    const cancel = options.clock.schedule(options.timeoutMs, () => {
      done(false);
    });
    asking.on('error', () => {
      done(false);
    });
    asking.on('response', (response) => {
      const status = response.statusCode ?? 0;
      done(status >= 200 && status < 300);
    });
    asking.end();
  });
}
