/**
 * Which directions of a link are cut, and which are slowed, decided from the list of what was asked. Pure.
 *
 * The last rule that matches a direction wins, so that a part of a cut can be healed, and links opened
 * later obey the cuts made before. A rule replaces an earlier one with the same selector: the list is
 * as long as the number of different selectors.
 */
import { MeridianError } from '../kernel/errors.ts';
import type { Locality } from '../topology/region.ts';
import {
  sameAddress,
  type CutSelector,
  type CutState,
  type LinkRequest,
  type Place,
  type SlowRule,
} from './link.ts';

export interface CutRule {
  readonly verb: 'cut' | 'heal';
  readonly selector: CutSelector;
}

/** More different selectors than any drill needs. */
export const CUT_RULES_MAX = 1_024;

export function addRule(rules: readonly CutRule[], rule: CutRule): readonly CutRule[] {
  // Healing everything leaves nothing that an earlier rule could still say.
  if (rule.verb === 'heal' && isEverything(rule.selector)) return [];
  const key = selectorKey(rule.selector);
  const others = rules.filter((other) => selectorKey(other.selector) !== key);
  if (others.length >= CUT_RULES_MAX) {
    throw new MeridianError('ERR_ENGINE_OVERLOADED', 'too many different cuts of the WAN', {
      remedy: 'Heal everything with an empty selector, then cut again.',
    });
  }
  return [...others, rule];
}

export function cutState(rules: readonly CutRule[], link: LinkRequest): CutState {
  let forward = false;
  let backward = false;
  for (const { verb, selector } of rules) {
    if (matches(selector, link, 'forward')) forward = verb === 'cut';
    if (matches(selector, link, 'backward')) backward = verb === 'cut';
  }
  if (forward) return backward ? 'both' : 'forward';
  return backward ? 'backward' : 'none';
}

/** What the slow rules add to each direction; those that match add up. */
export function addedDelays(
  rules: readonly SlowRule[],
  link: LinkRequest,
): { readonly forwardMs: number; readonly backwardMs: number } {
  let forwardMs = 0;
  let backwardMs = 0;
  for (const { selector, addMs } of rules) {
    const forward = matches(selector, link, 'forward');
    const backward = matches(selector, link, 'backward');
    const eachMs = forward && backward ? addMs / 2 : addMs;
    if (forward) forwardMs += eachMs;
    if (backward) backwardMs += eachMs;
  }
  return { forwardMs, backwardMs };
}

/** Does the selector speak of the bytes that travel in this direction of the link? */
function matches(
  selector: CutSelector,
  link: LinkRequest,
  direction: 'forward' | 'backward',
): boolean {
  if (selector.target !== undefined) {
    if (!sameAddress(selector.target, link.target)) return false;
    if (!within(link.from, selector.from) || !within(link.to, selector.to)) return false;
    return selector.oneWay !== true || direction === 'forward';
  }
  const [source, sink] =
    direction === 'forward' ? ([link.from, link.to] as const) : ([link.to, link.from] as const);
  if (travels(selector, source, sink)) return true;
  return selector.oneWay !== true && travels(selector, sink, source);
}

function travels({ from, to }: CutSelector, source: Locality, sink: Locality): boolean {
  const leaves = within(source, from);
  const arrives = within(sink, to);
  // One side alone means that side against the rest of the world.
  if (from !== undefined && to === undefined) return leaves && !within(sink, from);
  if (from === undefined && to !== undefined) return arrives && !within(source, to);
  return leaves && arrives;
}

function within(locality: Locality, place: Place | undefined): boolean {
  return (
    (place?.region === undefined || place.region === locality.region) &&
    (place?.zone === undefined || place.zone === locality.zone)
  );
}

function isEverything(selector: CutSelector): boolean {
  return (
    selector.from === undefined &&
    selector.to === undefined &&
    selector.target === undefined &&
    selector.oneWay !== true
  );
}

function selectorKey({ from, to, target, oneWay }: CutSelector): string {
  const place = (p: Place | undefined): unknown =>
    p === undefined ? null : [p.region ?? null, p.zone ?? null];
  const address = target === undefined ? null : [target.host, target.port];
  return JSON.stringify([place(from), place(to), address, oneWay === true]);
}
