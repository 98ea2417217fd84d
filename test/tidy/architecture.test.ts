/** Imports follow the ranks, without cycles, and packages are imported only where they are declared. */
import assert from 'node:assert/strict';
import { builtinModules } from 'node:module';
import { describe, test } from 'node:test';
import { findCycle, importsIn, importsOf } from './imports.ts';
import { importFault, partOf, RANKS } from './ranks.ts';
import { FILES, filesIn, read } from './repository.ts';
import { RUNTIME_DEPENDENCIES } from './runtime-dependencies.ts';

const sources = filesIn('src', '.ts');
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

describe('import directions', () => {
  test('every part of src has a rank', () => {
    const unranked = [...new Set(sources.map(partOf))].filter((part) => !(part in RANKS));
    assert.deepEqual(unranked, []);
  });

  test('nothing imports upwards or sideways', () => {
    const faults = sources
      .flatMap(importsOf)
      .filter(({ target }) => target?.startsWith('src/'))
      .map(({ from, target }) => importFault(from, target ?? ''))
      .filter((fault) => fault !== undefined);
    assert.deepEqual(faults, []);
  });

  test('src imports nothing from test, examples or bench', () => {
    const faults = sources
      .flatMap(importsOf)
      .filter(({ target }) => target !== undefined && !target.startsWith('src/'))
      .map(({ from, specifier }) => `${from}: ${specifier}`);
    assert.deepEqual(faults, []);
  });

  test('examples use the package by its name, as its users do', () => {
    const faults = filesIn('examples', '.ts')
      .flatMap(importsOf)
      .filter(({ target }) => target !== undefined && !target.startsWith('examples/'))
      .map(({ from, specifier }) => `${from}: ${specifier}`);
    assert.deepEqual(faults, []);
  });

  test('relative imports name an existing .ts file, and there are no cycles', () => {
    const known = new Set(FILES);
    const all = ['src', 'test', 'examples', 'bench'].flatMap((folder) => filesIn(folder, '.ts'));
    const graph = new Map(
      all.map((path) => [path, importsOf(path).flatMap(({ target }) => target ?? [])]),
    );
    const broken = [...graph].flatMap(([from, targets]) =>
      targets.filter((target) => !known.has(target)).map((target) => `${from}: ${target}`),
    );
    assert.deepEqual(broken, []);
    assert.equal(findCycle(graph)?.join(' -> '), undefined);
  });

  test('the checks see what they should refuse', () => {
    assert.notEqual(importFault('src/wan/link.ts', 'src/engines/engine.ts'), undefined);
    assert.notEqual(importFault('src/gateway/a.ts', 'src/app/b.ts'), undefined);
    assert.equal(importFault('src/gateway/a.ts', 'src/gateway/b.ts'), undefined);
    assert.equal(importFault('src/engines/a.ts', 'src/kernel/errors.ts'), undefined);
    assert.deepEqual(
      importsIn('src/a/b.ts', "// import '../no.ts'\nimport type { X } from '../c/d.ts';").map(
        ({ target }) => target,
      ),
      ['src/c/d.ts'],
    );
    const ring = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['a']],
    ]);
    assert.deepEqual(findCycle(ring), ['a', 'b', 'c', 'a']);
  });
});

describe('packages', () => {
  const manifest = JSON.parse(read('package.json')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
    optionalDependencies: Record<string, string>;
  };

  test('runtime dependencies are those with a reason', () => {
    assert.deepEqual(
      [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)].sort(),
      Object.keys(RUNTIME_DEPENDENCIES).sort(),
    );
  });

  test('src imports only Node and runtime dependencies', () => {
    const faults = sources
      .flatMap(importsOf)
      .filter(({ target, specifier }) => target === undefined && !specifier.startsWith('node:'))
      .filter(({ specifier }) => !(packageOf(specifier) in RUNTIME_DEPENDENCIES))
      .map(({ from, specifier }) => `${from}: ${specifier}`);
    assert.deepEqual(faults, []);
  });

  test('Node is imported as node:', () => {
    const faults = sources
      .flatMap(importsOf)
      .filter(({ specifier }) => builtinModules.includes(specifier))
      .map(({ from, specifier }) => `${from}: ${specifier}`);
    assert.deepEqual(faults, []);
  });

  test('package-lock.json names no registry', () => {
    assert.ok(!read('package-lock.json').includes('"resolved"'));
  });
});
