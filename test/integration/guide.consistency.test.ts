/** The guide to consistency levels: its examples are run from top to bottom, as they are printed. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeTokens } from '../../src/topology/position.ts';
import { global, regional } from '../../src/topology/locality.ts';
import { startTestPlatform } from '../support/cluster.ts';
import { blocksIn } from '../support/guides.ts';

const GUIDE = join(import.meta.dirname, '../../../docs/guides/consistency.md');

type Example = (names: Readonly<Record<string, unknown>>) => Promise<void>;

/** One function of all the examples, so that later ones see what earlier ones declared. */
function examples(text: string): { readonly count: number; readonly run: Example } {
  const code = blocksIn(text).filter(({ info }) => info === 'js run');
  const AsyncFunction = (async () => {}).constructor as new (...parts: string[]) => Example;
  const body = `const { us, asia, assert, mergeTokens } = given;\n`;
  return {
    count: code.length,
    run: new AsyncFunction('given', body + code.map((block) => block.text).join('\n')),
  };
}

test('every example of the guide to consistency holds', async () => {
  const text = await readFile(GUIDE, 'utf8');
  const schema = Object.fromEntries(
    blocksIn(text).flatMap(({ info, text: sql }) => {
      const name = /\bfile=(\S+)/.exec(info)?.[1];
      return name === undefined ? [] : [[name, sql] as const];
    }),
  );
  const { count, run } = examples(text);
  assert.ok(count >= 6, `${String(count)} examples`);
  await using platform = await startTestPlatform({
    schema,
    changes: () => ({
      tables: {
        currency: global(),
        purse: regional({ by: 'account_id' }),
        doctor: regional({ by: 'account_id' }),
      },
    }),
  });
  const [us, asia] = await Promise.all([platform.connect('us-east'), platform.connect('ap-south')]);
  await run({ us, asia, assert, mergeTokens });
});
