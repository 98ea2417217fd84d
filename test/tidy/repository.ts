/**
 * The repository as text, for the tests that check the repository itself. Only what belongs to it is
 * read: nothing installed, compiled or started leaves a trace in these lists.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiled, this file stands in dist/test/tidy. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const IGNORED = /^(node_modules|\.git|\.meridian|coverage|dist.*)$/;

/** Paths from the root, with forward slashes, sorted. */
export const FILES: readonly string[] = list('');

function list(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .filter((item) => !IGNORED.test(item.name) && !item.name.endsWith('.log'))
    .flatMap((item) => {
      const path = folder === '' ? item.name : `${folder}/${item.name}`;
      if (item.isDirectory()) return list(path);
      return item.isFile() ? [path] : [];
    })
    .sort();
}

const texts = new Map<string, string>();

export function read(path: string): string {
  const known = texts.get(path);
  if (known !== undefined) return known;
  const text = readFileSync(join(ROOT, path), 'utf8');
  texts.set(path, text);
  return text;
}

export function filesIn(folder: string, extension: string): string[] {
  return FILES.filter((path) => path.startsWith(`${folder}/`) && path.endsWith(extension));
}

/** Code of ours: what people write and read, tests included. */
export function sourceFiles(): string[] {
  return [
    ...['src', 'test', 'examples', 'bench'].flatMap((folder) => filesIn(folder, '.ts')),
    ...filesIn('scripts', '.mjs'),
  ];
}

export function markdownFiles(): string[] {
  return FILES.filter((path) => path.endsWith('.md'));
}

export function lineCount(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}
