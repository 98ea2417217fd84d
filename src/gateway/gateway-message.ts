/** What a gateway process and the supervisor that started it say to each other over their channel. */

/** To the parent. */
export type GatewayMessage =
  | { readonly kind: 'ready'; readonly port: number }
  | { readonly kind: 'failed'; readonly error: Record<string, unknown> }
  /**
   * It routes by this view, or a newer one. `busy` are the app server instances that the view takes
   * out of service and that still owe it answers; told again when that changes.
   */
  | { readonly kind: 'seen'; readonly version: number; readonly busy: readonly string[] };

/** From the parent. */
export type GatewayOrder =
  /** Comes with the socket to accept on. */
  | { readonly kind: 'socket' }
  /** A successor accepts on the same socket: see Gateway.retire. */
  | { readonly kind: 'retire' };

/** Set in its environment: the parent sends the socket, and PORT only names it. */
export const SOCKET_FROM_PARENT = 'MERIDIAN_GATEWAY_SOCKET';
