/**
 * The short form of the planted bugs: each still has its one place in the compiled platform, and two of
 * them are caught by a real run. All of them, until a seed of ten catches each: `npm run test:long`.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PLANTED_BUGS } from '../planted/bugs.ts';
import { changed, DIST, plant } from '../planted/plant.ts';
import { caughtBy, runVerification } from '../planted/verification.ts';

/** Round trips are short, so that much happens in few seconds. */
const RUN = { layout: 'zone', seconds: 15, faults: 'cancel', scale: 0.1 } as const;
/** What strikes whom is drawn from the seed; when, from the machine. */
const SEEDS = [1, 2, 3];

async function caught(name: string): Promise<string> {
  const bug = PLANTED_BUGS.find((one) => one.name === name);
  assert.ok(bug !== undefined, name);
  const program = await plant(bug);
  const ends: string[] = [];
  for (const seed of SEEDS) {
    const told = await runVerification({ ...RUN, program, seed });
    const by = caughtBy(told);
    if (by !== undefined) return by;
    ends.push(told.reason ?? 'clean');
  }
  throw new assert.AssertionError({ message: `${name} was not caught: ${ends.join('; ')}` });
}

describe('planted bugs', () => {
  test('each has its place in the platform', async () => {
    for (const { changes } of PLANTED_BUGS) {
      for (const change of changes) {
        const text = await readFile(join(DIST, 'src', change.file), 'utf8');
        assert.notEqual(changed(text, change), text);
      }
    }
  });

  test('commits that wait for one disk are caught: acknowledged writes are lost', async () => {
    assert.match(await caught('commit-lowered'), /acknowledged-writes|linearizable-registers/);
  });

  test('a cancelled wait that is called a success is caught', async () => {
    assert.match(await caught('cancelled-wait'), /acknowledged-writes|linearizable-registers/);
  });
});
