/** All that is said of a change of the declaration, before it is made: what `meridian plan` prints. Pure. */
import type { DeclaredPlacement, TrafficByHome } from '../../topology/declared.ts';
import type { GroupName } from '../../topology/position.ts';
import type { SchemaFacts } from '../../topology/schema-facts.ts';
import { placementChange, type PlacedData, type PlacementChange } from './change.ts';
import { copiesOf, costOf } from './cost.ts';
import { driftOf, type Drift, type Standing } from './drift.ts';
import { forecast, type Forecast } from './forecast.ts';
import { lintSchema, type Finding } from './lint.ts';
import { replicationOf, type Replication } from './replication.ts';

export interface PlacementPlan extends PlacementChange {
  /** All of it, between regions. */
  readonly copiedBytes: number;
  /** Null: no prices are declared. */
  readonly cost: { readonly amount: number; readonly currency: string } | null;
  /** What the copies take every day; null: it is not known what is written. */
  readonly replication: Replication | null;
  readonly forecast: readonly Forecast[];
  /** Where it is weighed by traffic that was seen. */
  readonly weighed: boolean;
  readonly findings: readonly Finding[];
  readonly drift: readonly Drift[];
}

export interface PlanFrom {
  /** In force. */
  readonly before: DeclaredPlacement;
  readonly after: DeclaredPlacement;
  readonly data: PlacedData;
  readonly standing: Standing;
  readonly traffic: TrafficByHome | undefined;
  readonly logBytesPerDay: Readonly<Record<GroupName, number>> | undefined;
  readonly schema: SchemaFacts | undefined;
}

export function planPlacement(from: PlanFrom): PlacementPlan {
  const { before, after, data, standing, traffic, schema, logBytesPerDay } = from;
  const change = placementChange(before, after, data);
  const copies = copiesOf(change.steps);
  const amount = costOf(copies, after.prices);
  const seen = Object.values(traffic ?? {}).some((homes) => Object.keys(homes ?? {}).length > 0);
  return {
    ...change,
    copiedBytes: copies.reduce((sum, { bytes }) => sum + bytes, 0),
    cost:
      amount === undefined || after.prices === undefined
        ? null
        : { amount, currency: after.prices.currency },
    replication:
      logBytesPerDay === undefined || change.refusals.length > 0
        ? null
        : replicationOf({ before, after }, logBytesPerDay),
    forecast: forecast({ before, after, traffic }),
    weighed: seen,
    findings: schema === undefined ? [] : lintSchema(schema, after),
    drift: driftOf(before, standing),
  };
}
