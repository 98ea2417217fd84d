/**
 * One thing wrong with what a person declared: where, what was expected, what was found. Checks collect
 * problems instead of throwing at the first, so that one run tells everything; whoever collected them
 * throws once. `found` never holds secrets or row values.
 */
export interface Problem {
  /** The key, as a person would write it: "regions.us-east.zones". */
  readonly path: string;
  readonly expected: string;
  readonly found: string;
  readonly remedy?: string;
}

/** One line, ending in a full stop. */
export function formatProblem(problem: Problem): string {
  const remedy = problem.remedy === undefined ? '' : ` ${problem.remedy}`;
  return `${problem.path}: expected ${problem.expected}, found ${problem.found}.${remedy}`;
}

/** A message for one or many: `what` is a file's name or a part of the platform. */
export function formatProblems(what: string, problems: readonly Problem[]): string {
  const [first] = problems;
  if (first !== undefined && problems.length === 1) return `${what}: ${formatProblem(first)}`;
  const lines = problems.map((problem) => `  - ${formatProblem(problem)}`);
  return [`${what} has ${String(problems.length)} problems:`, ...lines].join('\n');
}

/** Edits (insert, delete, replace) that make one word the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const replaced = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known name that was probably meant, or undefined when none is near. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  // Long inputs are never a slip of the finger; the bound keeps this cheap on hostile ones.
  if (name.length > 64) return undefined;
  const ranked = known
    .map((candidate) => ({
      candidate,
      edits: distance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((a, b) => a.edits - b.edits);
  const best = ranked[0];
  if (best === undefined) return undefined;
  const allowed = Math.max(1, Math.floor(Math.min(name.length, best.candidate.length) / 3));
  return best.edits <= allowed ? best.candidate : undefined;
}
