/** What the documentation says is there, and what is there is documented. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { ERROR_CODES } from '../../src/kernel/error-codes.ts';
import { anchorsIn, linksIn, npmScriptsIn, rowsOf } from './markdown.ts';
import { FILES, markdownFiles, read, ROOT } from './repository.ts';

describe('documentation', () => {
  test('every link leads somewhere', () => {
    const broken = markdownFiles().flatMap((path) =>
      linksIn(read(path))
        .filter((link) => !/^(https?|mailto):/.test(link))
        .filter((link) => !resolves(path, link))
        .map((link) => `${path}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  test('links, anchors, rows and commands are recognised', () => {
    assert.deepEqual(linksIn('[a](b.md#c) `[x](y)`\n```\n[n](o)\n```\n'), ['b.md#c']);
    assert.deepEqual([...anchorsIn('# One command: `npm start`')], ['one-command-npm-start']);
    assert.deepEqual(rowsOf('| `A` | b |\n|---|---|\n', /A/), [['`A`', 'b']]);
    assert.deepEqual(npmScriptsIn('`npm test`, `npm run test:unit -- x`'), ['test', 'test:unit']);
  });

  test('every command named exists', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const unknown = markdownFiles().flatMap((path) =>
      npmScriptsIn(read(path))
        .filter((name) => !(name in scripts))
        .map((name) => `${path}: ${name}`),
    );
    assert.deepEqual(unknown, []);
  });

  test('the error reference has one row per code, and says what the code says', () => {
    const plain = (text: string): string => text.replaceAll('`', '');
    const rows = rowsOf(read('docs/reference/errors.md'), /^`ERR_/);
    const documented = new Map(rows.map(([code = '', ...cells]) => [plain(code), cells]));
    assert.deepEqual([...documented.keys()], Object.keys(ERROR_CODES));
    assert.equal(rows.length, documented.size, 'one row per code');
    for (const [code, { retry, status, remedy }] of Object.entries(ERROR_CODES)) {
      const [meaning, ...rest] = documented.get(code) ?? [];
      assert.notEqual(meaning, '', `${code} is explained`);
      assert.deepEqual(rest.map(plain), [retry, String(status), plain(remedy)], code);
    }
  });

  test('decisions are numbered without gaps, and their titles carry the number', () => {
    const decisions = FILES.filter((path) => path.startsWith('docs/decisions/'));
    decisions.forEach((path, index) => {
      const number = String(index + 1).padStart(4, '0');
      assert.match(path, new RegExp(`^docs/decisions/${number}-[a-z0-9-]+\\.md$`));
      assert.match(read(path), new RegExp(`^# ${number}[.:]? `), path);
    });
    assert.notEqual(decisions.length, 0);
  });
});

function resolves(path: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : posix.normalize(posix.join(posix.dirname(path), file));
  if (!existsSync(join(ROOT, target))) return false;
  return anchor === undefined || !target.endsWith('.md') || anchorsIn(read(target)).has(anchor);
}
