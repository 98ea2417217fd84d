/**
 * All links of the WAN, inside its process: carries out one request at a time, in the order they came.
 * Links are never closed one by one: an address given out stays valid until the WAN ends.
 */
import type { Clock } from '../kernel/clock.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { Address } from '../topology/routing.ts';
import { addedDelays, addRule, cutState, type CutRule } from './cuts.ts';
import { openForwarder, type Forwarder } from './forwarder.ts';
import { linkKey, sameAddress, type LinkRequest, type LinkStatus, type SlowRule } from './link.ts';
import type { WanCall } from './messages.ts';

/** Zones times nodes of a large layout; past it something opens links without end. */
export const LINKS_MAX = 4_096;

interface Link {
  readonly request: LinkRequest;
  readonly roundTripMs: number;
  readonly forwarder: Forwarder;
}

export class LinkTable implements AsyncDisposable {
  readonly #clock: Clock;
  #links: Link[] = [];
  readonly #byKey = new Map<string, Link>();
  #rules: readonly CutRule[] = [];
  #slows: readonly SlowRule[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async handle(call: WanCall): Promise<Address | readonly LinkStatus[] | null> {
    switch (call.verb) {
      case 'link':
        return this.#open(call.request, call.roundTripMs);
      case 'retarget':
        this.#retarget(call.previous, call.next);
        return null;
      case 'cut':
      case 'heal':
        this.#rules = addRule(this.#rules, { verb: call.verb, selector: call.selector });
        for (const link of this.#links) this.#applyFaults(link);
        return null;
      case 'impose':
        this.#rules = call.faults.cuts.reduce<readonly CutRule[]>(
          (rules, selector) => addRule(rules, { verb: 'cut', selector }),
          [],
        );
        this.#slows = call.faults.slows;
        for (const link of this.#links) this.#applyFaults(link);
        return null;
      case 'links':
        return this.#links.map((link) => this.#status(link));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const links = this.#links;
    this.#links = [];
    this.#byKey.clear();
    await Promise.all(links.map((link) => link.forwarder.close()));
  }

  async #open(request: LinkRequest, roundTripMs: number): Promise<Address> {
    const key = linkKey(request.from, request.target);
    let link = this.#byKey.get(key);
    if (link === undefined) {
      if (this.#links.length >= LINKS_MAX) {
        throw new MeridianError('ERR_ENGINE_OVERLOADED', 'the emulated WAN has too many links');
      }
      const { target } = request;
      const forwarder = await openForwarder({ clock: this.#clock, roundTripMs, target });
      link = { request, roundTripMs, forwarder };
      this.#applyFaults(link);
      this.#links.push(link);
      this.#byKey.set(key, link);
    }
    return { host: '127.0.0.1', port: link.forwarder.port };
  }

  #retarget(previous: Address, next: Address): void {
    this.#links = this.#links.map((link) => {
      if (!sameAddress(link.request.target, previous)) return link;
      const { from, to } = link.request;
      const moved: Link = { ...link, request: { from, to, target: next } };
      moved.forwarder.target = next;
      this.#applyFaults(moved);
      this.#byKey.delete(linkKey(from, previous));
      // A link that was there already keeps its name; this one keeps its port for those who know it.
      const key = linkKey(from, next);
      if (!this.#byKey.has(key)) this.#byKey.set(key, moved);
      return moved;
    });
  }

  #applyFaults(link: Link): void {
    link.forwarder.setAdded(addedDelays(this.#slows, link.request));
    link.forwarder.setCut(cutState(this.#rules, link.request));
  }

  #status({ request, roundTripMs, forwarder }: Link): LinkStatus {
    const added = addedDelays(this.#slows, request);
    return {
      ...request,
      port: forwarder.port,
      roundTripMs,
      addedMs: added.forwardMs + added.backwardMs,
      connections: forwarder.connections,
      bytesForwarded: forwarder.bytesForwarded,
      cut: cutState(this.#rules, request),
    };
  }
}
