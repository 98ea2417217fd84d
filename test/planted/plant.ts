/** A bent copy of the compiled platform, beside it: modules find their packages as before. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Change, PlantedBug } from './bugs.ts';

/** Compiled, this file stands in dist/test/planted. */
export const DIST = join(import.meta.dirname, '..', '..');

/** The text after the change. Throws unless there is exactly one place for it. Pure. */
export function changed(text: string, { file, from, to }: Change): string {
  const places = text.split(from).length - 1;
  if (places !== 1) {
    throw new Error(`${file} has ${String(places)} places like: ${from}`);
  }
  // As a function: a replacement's text may hold "$".
  return text.replace(from, () => to);
}

/** Makes the copy anew; resolves with the program to run. */
export async function plant(bug: PlantedBug): Promise<string> {
  const folder = join(DIST, 'planted', bug.name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(join(DIST, 'src'), join(folder, 'src'), { recursive: true });
  for (const change of bug.changes) {
    const file = join(folder, 'src', change.file);
    await writeFile(file, changed(await readFile(file, 'utf8'), change));
  }
  return join(folder, 'src', 'cli', 'main.js');
}
