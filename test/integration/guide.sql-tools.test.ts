/** The guides to Kysely and Drizzle: their schemas and examples are run as they are printed. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { regional } from '../../src/topology/locality.ts';
import { startTestPlatform, type TestClient, type TestPlatform } from '../support/cluster.ts';
import { blocksIn, type CodeBlock } from '../support/guides.ts';

const REPOSITORY = join(import.meta.dirname, '../../..');
const NAMES = ['kysely', 'drizzle'];

/** A module of its own, since the examples import; beside the tests, where their imports are found. */
async function runExamples(blocks: readonly CodeBlock[], db: TestClient): Promise<number> {
  const code = blocks.filter(({ info }) => info === 'js run').map(({ text }) => text);
  const folder = await mkdtemp(join(import.meta.dirname, 'guide-'));
  try {
    const file = join(folder, 'example.mjs');
    const given = `const { assert, db } = globalThis.guide;\n`;
    await writeFile(file, given + code.join('\n'));
    (globalThis as { guide?: unknown }).guide = { assert, db };
    await import(pathToFileURL(file).href);
    return code.length;
  } finally {
    delete (globalThis as { guide?: unknown }).guide;
    await rm(folder, { recursive: true });
  }
}

describe('guides to SQL tools', () => {
  const guides = new Map<string, readonly CodeBlock[]>();
  let platform: TestPlatform;

  before(async () => {
    for (const name of NAMES) {
      const text = await readFile(join(REPOSITORY, `docs/guides/${name}.md`), 'utf8');
      guides.set(name, blocksIn(text));
    }
    const schema = [...guides.values()].flat().flatMap(({ info, text }) => {
      const file = /\bfile=(\S+)/.exec(info)?.[1];
      return file === undefined ? [] : [[file, text] as const];
    });
    const mine = regional({ by: 'account_id' });
    platform = await startTestPlatform({
      schema: Object.fromEntries(schema),
      changes: () => ({ tables: { loan: mine, trip: mine, stop: mine } }),
    });
  });
  after(async () => {
    await platform[Symbol.asyncDispose]();
  });

  for (const name of NAMES) {
    test(`every example of the guide to ${name} holds`, async () => {
      const db = await platform.connect('us-east');
      assert.ok((await runExamples(guides.get(name) ?? [], db)) >= 4);
    });
  }
});
