/** docs/reference/doctor.md has a row for each check, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CHECKS } from '../../src/doctor/checks.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/doctor.md'), 'utf8');

describe('the reference of checks', () => {
  test('has one row for each check, in the same order and area', () => {
    const rows = page
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
      .map(([, check, area, meaning, worst]) => {
        assert.notEqual(meaning, '', check);
        assert.match(worst ?? '', /^(warning|failure)$/, check);
        return { check, area };
      });
    assert.deepEqual(
      rows,
      CHECKS.map(({ name, area }) => ({ check: name, area })),
    );
    assert.equal(new Set(CHECKS.map(({ name }) => name)).size, CHECKS.length, 'names are unique');
  });
});
