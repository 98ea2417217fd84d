/**
 * Faults on purpose, as the supervisor and those who ask for them speak of them. Asked for by
 * POST /v1/chaos, undone by POST /v1/chaos/heal, listed by GET /v1/chaos.
 */
import type { RegionName, ZoneName } from '../topology/region.ts';

export interface ChaosPlace {
  readonly region: RegionName;
  /** Undefined: the whole region. */
  readonly zone?: ZoneName | undefined;
}

export type ChaosTarget =
  /** One process, which is brought back as after any crash: a database server, a gateway, an app server. */
  | { readonly kind: 'process'; readonly name: string }
  /** A database server together with the machine under it: nothing starts there until it is healed. */
  | { readonly kind: 'node'; readonly name: string }
  /** Everything that runs in a zone or a region. */
  | { readonly kind: 'place'; readonly place: ChaosPlace }
  /** The traffic between two places, or between one place and the rest of the world. */
  | {
      readonly kind: 'link';
      readonly from: ChaosPlace;
      readonly to?: ChaosPlace | undefined;
      readonly oneWay?: boolean | undefined;
    };

export type ChaosRequest =
  | { readonly action: 'kill' | 'stop' | 'restart'; readonly target: ChaosTarget }
  | { readonly action: 'partition'; readonly target: ChaosTarget }
  /** Adds to the round trip. */
  | { readonly action: 'slow'; readonly target: ChaosTarget; readonly addMs: number }
  /** Moves the clock of database servers. */
  | { readonly action: 'skew'; readonly target: ChaosTarget; readonly offsetMs: number }
  | { readonly action: 'fill-disk'; readonly target: ChaosTarget };

/** One that is in force, or was for a moment. */
export interface ChaosFault {
  readonly id: string;
  readonly request: ChaosRequest;
  /** "stop zone us-east/a: 5 processes" */
  readonly summary: string;
  readonly sinceMs: number;
  /** False: it is over by itself, as the end of a process is. */
  readonly lasting: boolean;
}

export interface ChaosOptions {
  /** Also where the database servers are not the platform's own. */
  readonly force?: boolean | undefined;
}

export interface ChaosControl {
  /**
   * Resolves when it is in effect. Throws ERR_CHAOS_REFUSED for what cannot be done here,
   * ERR_CONTROL_REQUEST for an unknown target.
   */
  inject(request: ChaosRequest, options?: ChaosOptions): Promise<ChaosFault>;
  /** All that are in force, or one; resolves when they are undone. */
  heal(id?: string): Promise<readonly ChaosFault[]>;
  faults(): readonly ChaosFault[];
}
