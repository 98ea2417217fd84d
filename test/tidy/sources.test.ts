/** Sizes, names and leftovers in sources. Layout is Prettier's, semantics are ESLint's. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FILES, filesIn, lineCount, read, sourceFiles } from './repository.ts';
import {
  FILE_LINES_MAX,
  FUNCTION_LINES_MAX,
  functionsIn,
  LONG_FILES,
  LONG_FUNCTIONS,
} from './sizes.ts';

/** Drawers: a function lives with its noun. */
const BANNED_NAMES =
  /^(utils?|helpers?|common|misc|shared|managers?|types|interfaces|lib)(\.\w+)*$|[-.](utils?|helpers?|manager)\./;
// Written so that this file does not contain what it looks for.
const LEFTOVER = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|'));
const SKIPPED = /\b(?:it|test|describe|suite)\.(?:skip|only|todo)\b|\b(?:skip|only|todo): true\b/;
const MACHINE_PATH = /(?<![\w.])\/(?:root|work|home\/\w+|Users\/\w+)\//;
const REGISTRY_HOST = /https?:\/\/[^\s'"`<]*(?:registry|artifactory|nexus|verdaccio)/i;

const matches = (files: readonly string[], pattern: RegExp): string[] =>
  files.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${String(index + 1)}`] : [])),
  );

describe('sources', () => {
  test(`files have at most ${String(FILE_LINES_MAX)} lines, or a reason`, () => {
    const long = sourceFiles().filter((path) => lineCount(read(path)) > FILE_LINES_MAX);
    assert.deepEqual(long, Object.keys(LONG_FILES));
  });

  test(`functions have at most ${String(FUNCTION_LINES_MAX)} lines, or a reason`, () => {
    const long = ['src', 'examples']
      .flatMap((folder) => filesIn(folder, '.ts'))
      .concat(filesIn('scripts', '.mjs'))
      .flatMap((path) =>
        functionsIn(path, read(path))
          .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
          .map(({ name }) => `${path} ${name}`),
      );
    assert.deepEqual(long, Object.keys(LONG_FUNCTIONS));
  });

  test('functions are measured from their first to their last line', () => {
    assert.deepEqual(functionsIn('a.ts', 'const f = () => {\n  g();\n};\nfunction h() {}'), [
      { name: 'f', lines: 3 },
      { name: 'h', lines: 1 },
    ]);
  });

  test('no file is a drawer', () => {
    const drawers = FILES.filter((path) => path.split('/').some((part) => BANNED_NAMES.test(part)));
    assert.deepEqual(drawers, []);
    for (const name of ['utils.ts', 'helpers', 'pool-manager.ts', 'types.ts', 'lib.test.ts']) {
      assert.match(name, BANNED_NAMES);
    }
    assert.doesNotMatch('commons-cathedral.ts', BANNED_NAMES);
  });

  test('sources open with a comment that says what they are', () => {
    const bare = sourceFiles().filter((path) => !/^(#!.*\n)?\/(\*\*|\/)/.test(read(path)));
    assert.deepEqual(bare, []);
  });

  test('nothing is left for later', () => {
    assert.deepEqual(
      matches([...sourceFiles(), ...FILES.filter((p) => /\.(md|sql)$/.test(p))], LEFTOVER),
      [],
    );
  });

  test('no test is skipped or runs alone', () => {
    assert.deepEqual(matches(filesIn('test', '.ts'), SKIPPED), []);
  });

  test('every test file has a test, and lies where it is run', () => {
    const files = filesIn('test', '.test.ts');
    assert.deepEqual(
      files.filter((path) => !/^test\/(unit|tidy|integration)\/[^/]+$/.test(path)),
      [],
    );
    assert.deepEqual(
      files.filter((path) => !/^\s*(?:await )?(?:test|it)\(/m.test(read(path))),
      [],
    );
  });

  test('nothing names a machine or a package registry', () => {
    const files = FILES.filter((path) => path !== 'LICENSE');
    assert.deepEqual(matches(files, MACHINE_PATH), []);
    assert.deepEqual(matches(files, REGISTRY_HOST), []);
    assert.match(['see /ro', 'ot/x'].join(''), MACHINE_PATH);
    assert.match(['http://npm.regis', 'try.example'].join(''), REGISTRY_HOST);
  });
});
