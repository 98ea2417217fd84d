/**
 * Replaces processes one after the other, app servers before gateways, so that none of a region's
 * other processes is away at the same time. Never two restarts at once: another one is refused, since
 * it would take away the very servers that stand in. A step that fails ends it, with everything
 * serving: each step leaves the old process or the new one, or both when a gateway does not let go.
 */
import type { AppHost } from '../app/host.ts';
import type {
  RestartEnd,
  RestartEvent,
  RestartOptions,
  RestartRequest,
} from '../control/restart.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError, messageOf } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import type { Region } from '../topology/region.ts';
import type { Gateways } from './gateways.ts';

export interface RollingRestartParts {
  readonly app: Pick<AppHost, 'status' | 'restart'> | undefined;
  readonly gateways: Pick<Gateways, 'restart'>;
  readonly regions: readonly Region[];
  readonly clock: Clock;
  readonly log: Log;
}

interface Step {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export class RollingRestart {
  readonly #parts: RollingRestartParts;
  #running = false;

  constructor(parts: RollingRestartParts) {
    this.#parts = parts;
  }

  /** Throws ERR_RESTART_UNDER_WAY, ERR_CONTROL_REQUEST (no such region), and what a step failed with. */
  async run(request: RestartRequest, options: RestartOptions = {}): Promise<RestartEnd> {
    const { clock, log } = this.#parts;
    const steps = this.#steps(request);
    if (this.#running) {
      throw new MeridianError('ERR_RESTART_UNDER_WAY', 'a rolling restart is under way already');
    }
    const tell = (event: RestartEvent): void => options.onEvent?.(event);
    this.#running = true;
    let restarted = 0;
    try {
      log.info('rolling restart', { steps: steps.length });
      tell({ kind: 'begun', steps: steps.map((step) => step.name) });
      for (const { name, run } of steps) {
        if (options.signal?.aborted === true) break;
        log.info('restarting', { name });
        const startMs = clock.monotonicMs();
        await run().catch((error: unknown) => {
          log.error('a rolling restart failed', { name, error: messageOf(error) });
          throw failed(name, error);
        });
        restarted += 1;
        const tookMs = Math.round(clock.monotonicMs() - startMs);
        log.info('restarted', { name, tookMs });
        tell({ kind: 'restarted', name, tookMs });
      }
    } finally {
      this.#running = false;
    }
    const end: RestartEnd = { kind: 'ended', restarted, left: steps.length - restarted };
    log.info('rolling restart ended', { restarted, left: end.left });
    tell(end);
    return end;
  }

  #steps({ apps, gateways, region }: RestartRequest): Step[] {
    const { app, regions } = this.#parts;
    const chosen = regions.filter(({ name }) => region === undefined || name === region);
    if (chosen.length === 0) {
      const known = regions.map(({ name }) => name).join(', ');
      const message = `there is no region ${JSON.stringify(region)}; there are ${known}`;
      throw new MeridianError('ERR_CONTROL_REQUEST', message);
    }
    const servers = app?.status() ?? [];
    const appSteps = chosen.flatMap((one): Step[] => {
      const here = servers.filter((server) => server.region === one.name).map(({ name }) => name);
      // One that a gateway holds up is there beside its successor, by the same name.
      return [...new Set(here)].map((name) => ({
        name: `app.${name}`,
        run: async () => app?.restart(name),
      }));
    });
    const gatewaySteps = chosen.map(({ name }): Step => ({
      name: `gateway.${name}`,
      run: () => this.#parts.gateways.restart(name),
    }));
    return [...(apps ? appSteps : []), ...(gateways ? gatewaySteps : [])];
  }
}

function failed(name: string, cause: unknown): MeridianError {
  if (!isMeridianError(cause)) {
    return new MeridianError('ERR_INTERNAL', `${name}: ${messageOf(cause)}`, { cause });
  }
  // Its successor serves already.
  if (cause.code === 'ERR_RESTART_HELD_UP') return cause;
  const { code, remedy } = cause;
  const message = `${name} was not replaced and serves on: ${cause.message}`;
  return new MeridianError(code, message, { cause, remedy });
}
