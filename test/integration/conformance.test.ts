/** The embedded engine under the published conformance suite, in both layouts. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { capabilityMatrix, describeEngine, withMatrix } from 'meridian/conformance';
import prettier from 'prettier';
import { postgresSubject } from '../support/postgres-subject.ts';

// Compiled, this file is dist/test/integration/conformance.test.js.
const REPOSITORY = join(import.meta.dirname, '..', '..', '..');
const PAGE = join(REPOSITORY, 'docs', 'reference', 'engines.md');

describeEngine(
  postgresSubject,
  { describe, test, before, after },
  {
    onReport: async (report) => {
      const committed = await readFile(PAGE, 'utf8');
      const options = await prettier.resolveConfig(PAGE);
      const text = withMatrix(committed, capabilityMatrix(report));
      const written = await prettier.format(text, { ...options, parser: 'markdown' });
      if (written !== committed) await writeFile(PAGE, written);
      assert.equal(committed, written, `${PAGE} was not what the suite found; it is now`);
    },
  },
);

test('a page without a place for the matrix is refused, not rewritten', () => {
  assert.throws(() => withMatrix('# Engines\n', '| law |'), RangeError);
});
