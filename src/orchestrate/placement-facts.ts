/** What a change of the declaration is planned from, as far as it can be learnt just now. */
import type { PlacementFacts, PlacementQuestion } from '../control/placement.ts';
import type { DesiredState, Engine } from '../engines/engine.ts';
import { messageOf } from '../kernel/errors.ts';
import type { DeclaredPlacement } from '../topology/declared.ts';
import type { LogRates } from './log-rates.ts';
import type { Rehoming } from './rehoming.ts';

export interface PlacementParts {
  readonly engine: Pick<Engine, 'observe' | 'rangeFacts' | 'schemaFacts'>;
  readonly desired: DesiredState;
  readonly declared: DeclaredPlacement;
  readonly rehoming: Pick<Rehoming, 'trafficByHome'>;
  readonly logRates: LogRates;
  readonly startMs: number;
}

/** Never rejects: what cannot be learnt is named. */
export async function placementFacts(
  { engine, desired, declared, rehoming, logRates, startMs }: PlacementParts,
  { statements }: PlacementQuestion,
): Promise<PlacementFacts> {
  const missing: string[] = [];
  const unless = async <T>(what: string, learn: Promise<T> | undefined): Promise<T | null> => {
    if (learn === undefined) {
      missing.push(`${what}: this engine does not say`);
      return null;
    }
    return learn.catch((error: unknown) => {
      missing.push(`${what}: ${messageOf(error)}`);
      return null;
    });
  };
  const ranges = await unless('what ranges hold', engine.rangeFacts?.());
  const schema = await unless('the schema', engine.schemaFacts?.(desired, statements));
  const traffic = await unless('the traffic of accounts', rehoming.trafficByHome());
  const written = await unless(
    'how much is written',
    engine.observe({}).then((observed) => logRates.perDay(observed)),
  );
  const homes = new Map(desired.groups.map(({ name, homeRegion }) => [name, homeRegion]));
  const declaredIn = new Map(desired.ranges.map(({ name, group }) => [name, group]));
  return {
    ...{ declared, schema, startMs, missing },
    traffic: traffic ?? null,
    logBytesPerDay: written ?? null,
    ranges:
      ranges?.map((range) => ({
        ...range,
        homeRegion: homes.get(range.group) ?? '',
        declaredIn: declaredIn.get(range.range) ?? null,
      })) ?? null,
  };
}
