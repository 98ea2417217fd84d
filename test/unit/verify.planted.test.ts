/**
 * The short form of the planted bugs: each still has its one place in the compiled platform, and its copy
 * can be made. All of them run, until a seed of ten catches each, in `npm run test:long`.
 */
import assert from 'node:assert/strict';
import { access, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { PLANTED_BUGS } from '../planted/bugs.ts';
import { changed, DIST, plant } from '../planted/plant.ts';

describe('planted bugs', () => {
  test('each has its place in the platform', async () => {
    for (const { changes } of PLANTED_BUGS) {
      for (const change of changes) {
        const text = await readFile(join(DIST, 'src', change.file), 'utf8');
        assert.notEqual(changed(text, change), text);
      }
    }
  });

  test('its copy is a platform of its own, with the change in it', async () => {
    const [bug] = PLANTED_BUGS;
    assert.ok(bug !== undefined);
    const program = await plant(bug);
    await access(program);
    for (const change of bug.changes) {
      const text = await readFile(join(dirname(program), '..', change.file), 'utf8');
      assert.ok(text.includes(change.to), change.file);
    }
    await rm(join(dirname(program), '..', '..'), { recursive: true });
  });
});
