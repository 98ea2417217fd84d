/**
 * One link: a listener on loopback whose connections reach the target as if the round trip lay
 * between. A connection costs the handshake's round trip first: its first bytes leave one round trip
 * after it was accepted, and the target sees it after the way there.
 *
 * A cut link accepts and stays silent, since a listener cannot drop a SYN; the target is dialled once
 * it is healed. A target that refuses shows as a reset after one round trip, for the same reason.
 */
import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Address } from '../topology/routing.ts';
import { DelayLine } from './delay-line.ts';
import type { CutState } from './link.ts';

const CONNECTIONS_PER_LINK_MAX = 4_096;
/** Large enough for a bulk chunk to be handed over without a pause for 'drain'. */
const SOCKET_BUFFER_BYTES = 256 * 1024;
const UPSTREAM_OPTIONS = { allowHalfOpen: true, writableHighWaterMark: SOCKET_BUFFER_BYTES };
/**
 * Below this the whole delay is in one direction: timers tick in milliseconds, and two halves would
 * each be rounded.
 */
const ONE_DIRECTION_BELOW_MS = 8;

export interface ForwarderOptions {
  readonly clock: Clock;
  readonly roundTripMs: number;
  readonly target: Address;
}

export interface Delays {
  readonly forwardMs: number;
  readonly backwardMs: number;
}

export interface Forwarder {
  readonly port: number;
  readonly connections: number;
  readonly bytesForwarded: number;
  /** Where later connections go. */
  target: Address;
  setCut(cut: CutState): void;
  /** On top of the round trip, from now on; connections that are open feel it too. */
  setAdded(added: Delays): void;
  /** Destroys every connection; resolves when the port is free. */
  close(): Promise<void>;
}

export function splitRoundTrip(roundTripMs: number): Delays {
  if (roundTripMs < ONE_DIRECTION_BELOW_MS) return { forwardMs: roundTripMs, backwardMs: 0 };
  return { forwardMs: roundTripMs / 2, backwardMs: roundTripMs / 2 };
}

export async function openForwarder(options: ForwarderOptions): Promise<Forwarder> {
  const link = new LinkForwarder(options);
  await link.listen();
  return link;
}

class LinkForwarder implements Forwarder {
  readonly clock: Clock;
  readonly #base: Delays;
  readonly #connections = new Set<Connection>();
  readonly #server: Server;
  target: Address;
  delays: Delays;
  cut: CutState = 'none';
  bytesForwarded = 0;

  constructor(options: ForwarderOptions) {
    this.clock = options.clock;
    this.#base = splitRoundTrip(options.roundTripMs);
    this.delays = this.#base;
    this.target = options.target;
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, highWaterMark: SOCKET_BUFFER_BYTES },
      (client) => {
        const connection = new Connection(this, client, () => {
          this.#connections.delete(connection);
        });
        this.#connections.add(connection);
      },
    );
    this.#server.maxConnections = CONNECTIONS_PER_LINK_MAX;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.on('error', (cause) => {
        reject(new MeridianError('ERR_PORT_TAKEN', 'a WAN link could not listen', { cause }));
      });
      this.#server.listen({ host: '127.0.0.1', port: 0 }, resolve);
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  setCut(cut: CutState): void {
    if (cut === this.cut) return;
    this.cut = cut;
    for (const connection of this.#connections) connection.applyCut();
  }

  setAdded(added: Delays): void {
    const forwardMs = this.#base.forwardMs + added.forwardMs;
    const backwardMs = this.#base.backwardMs + added.backwardMs;
    if (forwardMs === this.delays.forwardMs && backwardMs === this.delays.backwardMs) return;
    this.delays = { forwardMs, backwardMs };
    for (const connection of this.#connections) connection.applyDelays();
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      for (const connection of this.#connections) connection.destroy();
    });
  }
}

class Connection {
  readonly #link: LinkForwarder;
  readonly #client: Socket;
  readonly #forward: DelayLine;
  readonly #onClosed: () => void;
  #upstream: Socket | undefined;
  #backward: DelayLine | undefined;
  #cancelDial: (() => void) | undefined;
  #closed = false;

  constructor(link: LinkForwarder, client: Socket, onClosed: () => void) {
    this.#link = link;
    this.#client = client;
    this.#onClosed = onClosed;
    this.#forward = this.#line(client, link.delays.forwardMs);
    client.on('close', () => {
      // Without an upstream nobody else needs to learn of it.
      if (this.#upstream === undefined || this.#upstream.closed) this.#finish();
    });
    this.applyCut();
  }

  applyCut(): void {
    if (this.#closed) return;
    const { cut } = this.#link;
    this.#forward.setStalled(cut === 'forward' || cut === 'both');
    this.#backward?.setStalled(cut === 'backward' || cut === 'both');
    if (this.#upstream !== undefined) return;
    this.#cancelDial?.();
    // A handshake needs both directions.
    this.#cancelDial = cut === 'none' ? this.#scheduleDial() : undefined;
  }

  applyDelays(): void {
    if (this.#closed) return;
    const { forwardMs, backwardMs } = this.#link.delays;
    this.#forward.setDelay(forwardMs);
    this.#backward?.setDelay(backwardMs);
  }

  destroy(): void {
    this.#client.destroy();
    this.#upstream?.destroy();
    this.#finish();
  }

  #scheduleDial(): (() => void) | undefined {
    const { clock, delays } = this.#link;
    const establishedAt = clock.monotonicMs() + delays.forwardMs + delays.backwardMs;
    const wayThere = Math.round(delays.forwardMs);
    if (wayThere > 0) {
      return clock.schedule(wayThere, () => {
        this.#dial(establishedAt);
      });
    }
    this.#dial(establishedAt);
    return undefined;
  }

  #dial(establishedAt: number): void {
    const upstream = new Socket(UPSTREAM_OPTIONS);
    this.#upstream = upstream;
    this.#backward = this.#line(upstream, this.#link.delays.backwardMs);
    this.#backward.attach(this.#client, 0);
    upstream.setNoDelay(true);
    upstream.on('connect', () => {
      this.#forward.attach(upstream, establishedAt);
    });
    upstream.on('close', () => {
      if (this.#client.closed) this.#finish();
    });
    upstream.connect(this.#link.target);
    this.applyCut();
  }

  #line(source: Socket, delayMs: number): DelayLine {
    const onForwarded = (bytes: number): void => {
      this.#link.bytesForwarded += bytes;
    };
    return new DelayLine({ clock: this.#link.clock, source, delayMs, onForwarded });
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelDial?.();
    this.#forward.close();
    this.#backward?.close();
    this.#onClosed();
  }
}
