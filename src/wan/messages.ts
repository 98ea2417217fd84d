/**
 * What the supervisor and the WAN's process say to each other over the process channel. Requests carry
 * an id and each gets exactly one reply; the process handles them in the order sent.
 */
import type { MeridianError } from '../kernel/errors.ts';
import type { Address } from '../topology/routing.ts';
import type { CutSelector, LinkRequest, LinkStatus, WanFaults } from './link.ts';

export type WanCall =
  | { readonly verb: 'link'; readonly request: LinkRequest; readonly roundTripMs: number }
  | { readonly verb: 'retarget'; readonly previous: Address; readonly next: Address }
  | { readonly verb: 'cut' | 'heal'; readonly selector: CutSelector }
  | { readonly verb: 'impose'; readonly faults: WanFaults }
  | { readonly verb: 'links' };

export type WanRequest = WanCall & { readonly id: number };

export type WanReply =
  | { readonly id: number; readonly result: Address | readonly LinkStatus[] | null }
  | { readonly id: number; readonly error: Pick<MeridianError, 'code' | 'message' | 'remedy'> };
