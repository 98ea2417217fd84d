/** How fresh a read must be: the same words on every engine. */
import type { Position } from './position.ts';

export type Consistency =
  /** Serializable at the leaseholder: sees every acknowledged write. */
  | { readonly kind: 'strong' }
  /** A replica whose heartbeat proves it at most this old, else the leaseholder. */
  | { readonly kind: 'bounded'; readonly maxStalenessMs: number }
  /** A replica that has reached the position (read your writes), else the leaseholder. */
  | { readonly kind: 'at-least'; readonly position: Position };
