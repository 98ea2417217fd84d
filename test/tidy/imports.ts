/** What a file imports, read with the compiler's own scanner: comments and strings do not fool it. */
import { posix } from 'node:path';
import ts from 'typescript';
import { read } from './repository.ts';

export interface Import {
  readonly from: string;
  /** As written. */
  readonly specifier: string;
  /** For relative imports: the path from the repository's root. */
  readonly target: string | undefined;
}

export function importsOf(path: string): Import[] {
  return importsIn(path, read(path));
}

export function importsIn(path: string, text: string): Import[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => ({
    from: path,
    specifier: fileName,
    target: fileName.startsWith('.')
      ? posix.normalize(posix.join(posix.dirname(path), fileName))
      : undefined,
  }));
}

/** One cycle as the list of its files, or undefined when there is none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (finished.has(path)) return undefined;
    const start = trail.indexOf(path);
    if (start >= 0) return [...trail.slice(start), path];
    for (const next of graph.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle !== undefined) return cycle;
    }
    finished.add(path);
    return undefined;
  };
  for (const path of graph.keys()) {
    const cycle = visit(path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}
