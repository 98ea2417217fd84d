/**
 * What an operator asks of a replication group, as the supervisor and those who ask speak of it: POST
 * /v1/operation, answered by OperationEvents, one a line, as they happen.
 */
export type OperationRequest =
  /** Planned change of the leader: to a node, or to the best voter of a zone or region. */
  | {
      readonly kind: 'switchover';
      readonly group: string;
      readonly to?: string | undefined;
      readonly region?: string | undefined;
      readonly zone?: string | undefined;
    }
  /** A replica is copied anew. */
  | { readonly kind: 'rebuild'; readonly node: string }
  /** Opens a group from what is left of it, after a person has accepted the loss that was stated. */
  | { readonly kind: 'recover'; readonly group: string; readonly acceptLoss: boolean };

export type OperationEvent =
  | { readonly kind: 'begun'; readonly summary: string }
  | { readonly kind: 'phase'; readonly phase: string; readonly atMs: number }
  | {
      readonly kind: 'progress';
      readonly what: string;
      readonly doneBytes: number;
      readonly totalBytes: number | null;
    }
  | { readonly kind: 'ended'; readonly summary: string; readonly tookMs: number };

export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: OperationEvent) => void) | undefined;
}
