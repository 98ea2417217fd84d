/**
 * Would `meridian verify` notice? Two of the planted bugs, which short runs find; all of them, and the
 * clean seeds, are `npm run test:long`.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { PLANTED_BUGS } from '../planted/bugs.ts';
import { plant } from '../planted/plant.ts';
import { runVerification } from '../planted/verification.ts';

/** What strikes is the same in each run of a seed; when it strikes is the machine's doing. */
const SEEDS_MAX = 3;

describe('planted bugs, in short', () => {
  const copies: string[] = [];
  after(async () => {
    for (const copy of copies) await rm(copy, { recursive: true, force: true });
  });

  const isCaught = async (name: string, faults: string): Promise<void> => {
    const bug = PLANTED_BUGS.find((one) => one.name === name);
    assert.ok(bug !== undefined);
    const program = await plant(bug);
    copies.push(join(dirname(program), '..', '..'));
    for (let seed = 1; seed <= SEEDS_MAX; seed += 1) {
      const told = await runVerification({ program, layout: 'zone', seed, seconds: 25, faults });
      const broken = told.verdicts.filter(({ violations }) => violations.length > 0);
      const found = broken.map(({ checker }) => checker).join(', ');
      console.log(`${name}, seed ${String(seed)}: ${found === '' ? 'not caught' : found}`);
      if (found !== '') return;
    }
    assert.fail(`${name} was not caught with seeds 1 to ${String(SEEDS_MAX)}`);
  };

  test('commits that wait for one disk are lost with it', () => isCaught('commit-lowered', 'kill'));

  test('cancelled waits that are answered as success are lost with their leader', () =>
    isCaught('cancelled-wait', 'cancel'));
});
