/** Limits on files and functions, and how they are measured. */
import ts from 'typescript';
import { lineCount } from './repository.ts';

export const FILE_LINES_MAX = 400;
export const FUNCTION_LINES_MAX = 70;

/** Files that may be longer, each with its reason. An entry that is not needed any more fails. */
export const LONG_FILES: Readonly<Record<string, string>> = {};

/** Functions that may be longer, as "path name", each with its reason. */
export const LONG_FUNCTIONS: Readonly<Record<string, string>> = {};

export interface MeasuredFunction {
  readonly name: string;
  readonly lines: number;
}

/** Every function of a file with the lines from its first to its last. */
export function functionsIn(path: string, text: string): MeasuredFunction[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found: MeasuredFunction[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      found.push({ name: nameOf(node), lines: lineCount(node.getText(file)) });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function nameOf(node: ts.SignatureDeclaration): string {
  if (node.name !== undefined) return node.name.getText();
  const { parent } = node;
  if (ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) {
    return parent.name.getText();
  }
  return node.kind === ts.SyntaxKind.Constructor ? 'constructor' : 'anonymous';
}
