/** The part of the composition root that decides where accounts and ranges are, and tells why. */
import { declaredPlacement } from './config/resolve.ts';
import type { PlacementFacts, PlacementQuestion } from './control/placement.ts';
import type { StatusReport } from './control/status.ts';
import { Draining } from './orchestrate/draining.ts';
import { LogRates } from './orchestrate/log-rates.ts';
import { placementFacts } from './orchestrate/placement-facts.ts';
import { Rehoming } from './orchestrate/rehoming.ts';
import type { Data, Start } from './platform-parts.ts';

type Placement = Pick<Data, 'rehoming' | 'draining' | 'logRates'>;

/** Stopped, newest first, with the scope of the start. */
export async function startPlacement(
  { config, desired, clock, log, scope }: Start,
  { engine, operations }: Pick<Data, 'engine' | 'operations'>,
  status: () => Promise<StatusReport>,
): Promise<Placement> {
  const latency = config.latency.matrix;
  const { regions } = config;
  const rehoming: Rehoming = new Rehoming({
    ...{ engine, clock, log, groups: desired.groups, regions, latency, options: config.rehoming },
    file: `${config.dataDirectory}/account-traffic.json`,
    status,
    isDraining: (region) => draining.isDraining(region),
    operate: (request) => operations.run(request),
  });
  scope.push('re-homing', () => rehoming.close());
  const draining: Draining = new Draining({
    ...{ engine, desired, clock, log, regions, latency },
    trafficOf: (account) => rehoming.accessesOf(account),
    operate: (request, how) => operations.run(request, how),
  });
  scope.push('draining', () => {
    draining.close();
  });
  return { rehoming, draining, logRates: new LogRates(await engine.observe({}), clock) };
}

export function placementOf(
  start: Start,
  data: Data,
  question: PlacementQuestion,
): Promise<PlacementFacts> {
  const { config, desired } = start;
  const { engine, rehoming, logRates } = data;
  const startMs = data.readyMs ?? Math.round(start.clock.now() - start.startedAtMs);
  const declared = declaredPlacement(config);
  return placementFacts({ engine, desired, declared, rehoming, logRates, startMs }, question);
}
