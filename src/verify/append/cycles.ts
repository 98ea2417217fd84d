/**
 * Cycles among dependencies, each an anomaly with a name (Adya's, as Elle uses them). Named by what the
 * cycle needs: G0 writes alone; G1c also reads of what was written; G-single one anti-dependency; G2
 * several (write skew and long fork among them). With "-realtime" it also needs that one transaction
 * was acknowledged before another began: serializable, but not strictly.
 */
import type { Violation } from '../history.ts';
import type { Dependencies, Dependency, DependencyKind } from './dependencies.ts';
import { stronglyConnected } from './components.ts';

export const CYCLES_MAX = 10;
/** Places from which a shortest cycle is looked for, in one component. */
const STARTS_MAX = 200;

interface Level {
  readonly kinds: readonly DependencyKind[];
  /** Look for a cycle with exactly one anti-dependency. */
  readonly single: boolean;
}

/** From the worst on: what is found at one level is not reported again at the next. */
const LEVELS: readonly Level[] = [
  { kinds: ['ww'], single: false },
  { kinds: ['ww', 'wr'], single: false },
  { kinds: ['ww', 'wr', 'rw'], single: true },
  { kinds: ['ww', 'wr', 'rw'], single: false },
  { kinds: ['ww', 'time'], single: false },
  { kinds: ['ww', 'wr', 'time'], single: false },
  { kinds: ['ww', 'wr', 'rw', 'time'], single: true },
  { kinds: ['ww', 'wr', 'rw', 'time'], single: false },
];

interface Step extends Dependency {
  readonly from: number;
}

/** `known`: nodes that are part of a violation already told. */
export function cyclesOf(dependencies: Dependencies, known: ReadonlySet<number>): Violation[] {
  const told = new Set(known);
  const violations: Violation[] = [];
  for (const { kinds, single } of LEVELS) {
    const edges = dependencies.of.map((list) => list.filter(({ kind }) => kinds.includes(kind)));
    for (const component of stronglyConnected(edges)) {
      if (violations.length >= CYCLES_MAX) return violations;
      if (component.some((node) => told.has(node))) continue;
      const cycle = single ? singleCycle(edges, component) : shortestCycle(edges, component);
      if (cycle === undefined) continue;
      for (const { from } of cycle) told.add(from);
      violations.push(described(dependencies, cycle));
    }
  }
  return violations;
}

function described({ transactions }: Dependencies, cycle: readonly Step[]): Violation {
  const indexAt = (node: number): number => transactions[node]?.operation.index ?? -1;
  const steps = cycle.map(({ from, kind, why }) => `${indexAt(from)} -${kind} (${why})-> `);
  const what = `${nameOf(cycle)}: ${steps.join('')}${indexAt(cycle[0]?.from ?? -1)}`;
  return { what, operations: cycle.map(({ from }) => indexAt(from)).sort((a, b) => a - b) };
}

function nameOf(cycle: readonly Step[]): string {
  const count = (wanted: DependencyKind): number =>
    cycle.filter(({ kind }) => kind === wanted).length;
  const name = ['', 'G-single'][count('rw')] ?? 'G2';
  const plain = name === '' ? (count('wr') > 0 ? 'G1c' : 'G0') : name;
  return count('time') > 0 ? `${plain}-realtime` : plain;
}

type Edges = readonly (readonly Dependency[])[];

function shortestCycle(edges: Edges, component: readonly number[]): Step[] | undefined {
  const inside = new Set(component);
  let best: Step[] | undefined;
  for (const start of component.slice(0, STARTS_MAX)) {
    const cycle = pathBack({ edges, inside }, start, start);
    if (cycle !== undefined && (best === undefined || cycle.length < best.length)) best = cycle;
    if (best?.length === 2) break;
  }
  return best;
}

function singleCycle(edges: Edges, component: readonly number[]): Step[] | undefined {
  const inside = new Set(component);
  const others = edges.map((list) => list.filter(({ kind }) => kind !== 'rw'));
  let best: Step[] | undefined;
  let starts = 0;
  for (const from of component) {
    for (const edge of edges[from] ?? []) {
      if (edge.kind !== 'rw' || !inside.has(edge.to) || starts >= STARTS_MAX) continue;
      starts += 1;
      const back = pathBack({ edges: others, inside }, edge.to, from);
      if (back === undefined || (best !== undefined && back.length + 1 >= best.length)) continue;
      best = [{ from, ...edge }, ...back];
    }
  }
  return best;
}

/** The shortest way from one node to another, of at least one step. */
function pathBack(
  { edges, inside }: { readonly edges: Edges; readonly inside: ReadonlySet<number> },
  from: number,
  to: number,
): Step[] | undefined {
  const reachedBy = new Map<number, Step>();
  let front = [from];
  while (front.length > 0) {
    const next: number[] = [];
    for (const node of front) {
      for (const edge of edges[node] ?? []) {
        if (!inside.has(edge.to) || reachedBy.has(edge.to)) continue;
        reachedBy.set(edge.to, { from: node, ...edge });
        if (edge.to === to) return trace(reachedBy, from, to);
        next.push(edge.to);
      }
    }
    front = next;
  }
  return undefined;
}

function trace(reachedBy: ReadonlyMap<number, Step>, from: number, to: number): Step[] {
  const path: Step[] = [];
  let node = to;
  do {
    const step = reachedBy.get(node);
    if (step === undefined) break;
    path.unshift(step);
    node = step.from;
  } while (node !== from);
  return path;
}
