/**
 * A small project with our real scripts and the real compiler, for tests of the bootstrap. Only npm is
 * replaced, since unit tests have no network: the stand-in installs what package-lock.json lists by
 * linking to this repository's own packages, writes the record that npm writes, and keeps a diary.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const NPM = `
import { appendFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
appendFileSync('npm.diary', process.argv.slice(2).join(' ') + '\\n');
rmSync('node_modules', { recursive: true, force: true });
mkdirSync('node_modules');
console.log('added packages');
if (process.env.NPM_SAYS) {
  console.error(process.env.NPM_SAYS);
  process.exit(1);
}
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
delete packages[''];
delete packages['node_modules/elsewhere'];
for (const path of Object.keys(packages)) symlinkSync(${JSON.stringify(ROOT)} + path, path);
writeFileSync('node_modules/.package-lock.json', JSON.stringify({ packages }));
`;

/** Without the types of Node and newer libraries, so that compiling takes a fraction of a second. */
const TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    lib: ['es5'],
    types: [],
    module: 'nodenext',
    rootDir: '.',
    outDir: 'dist',
    incremental: true,
    tsBuildInfoFile: 'dist/.tsbuildinfo',
    strict: true,
  },
  include: ['src', 'test', 'bench'],
};

const MAIN = `// @ts-nocheck
const [mode] = process.argv.slice(2);
if (mode === 'wait') {
  let count = 0;
  const keep = setInterval(() => {}, 1000);
  process.on('SIGINT', () => {
    count += 1;
    setTimeout(() => { console.log('signals', count); clearInterval(keep); }, 300);
  });
  process.on('SIGTERM', () => process.kill(process.pid, 'SIGKILL'));
  console.log('ready');
} else if (mode === 'fail') process.exit(3);
else console.log(JSON.stringify(process.argv.slice(2)));
export {};
`;

export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  readonly started?: (child: ChildProcess) => void;
}

export interface Project extends Disposable {
  path(relative: string): string;
  write(relative: string, text: string): void;
  exists(relative: string): boolean;
  /** How often npm was run, with which arguments. */
  diary(): string[];
  /** node scripts/bootstrap.mjs …, to its end. */
  bootstrap(args: readonly string[], options?: RunOptions): Promise<Outcome>;
}

let template: Project | undefined;

/** One that has been installed and compiled already: stamps depend on contents, not on places. */
export async function createReadyProject(): Promise<Project> {
  if (template === undefined) {
    template = createProject();
    const { code, stderr } = await template.bootstrap(['build']);
    assert.equal(code, 0, stderr);
    process.on('exit', () => template?.[Symbol.dispose]());
  }
  const project = createProject();
  for (const name of ['node_modules', 'dist', 'npm.diary']) {
    cpSync(template.path(name), project.path(name), { recursive: true, verbatimSymlinks: true });
  }
  return project;
}

export function createProject(): Project {
  const root = mkdtempSync(join(tmpdir(), 'bootstrap-'));
  const path = (relative: string): string => join(root, relative);
  const write = (relative: string, text: string): void => {
    mkdirSync(dirname(path(relative)), { recursive: true });
    writeFileSync(path(relative), text);
  };
  cpSync(join(ROOT, 'scripts'), path('scripts'), { recursive: true });
  write('tsconfig.json', JSON.stringify(TSCONFIG));
  write('package.json', '{ "type": "module" }');
  writeLock({ write }, '1.0.0');
  write('npm/npm-cli.js', NPM);
  write('npm/package.json', '{ "type": "module" }');
  write('src/cli/main.ts', MAIN);
  return {
    path,
    write,
    exists: (relative) => existsSync(path(relative)),
    diary: () =>
      existsSync(path('npm.diary'))
        ? readFileSync(path('npm.diary'), 'utf8').trim().split('\n')
        : [],
    bootstrap: (args, options = {}) => run(root, args, options),
    [Symbol.dispose]: () => {
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** As if a dependency had come out in another version. */
export function writeLock(project: Pick<Project, 'write'>, version: string): void {
  const dependency = (name: string): Record<string, unknown> => ({
    [`node_modules/${name}`]: { version, dev: true },
  });
  project.write(
    'package-lock.json',
    JSON.stringify({
      packages: {
        '': { name: 'project' },
        ...dependency('typescript'),
        ...dependency('pg'),
        'node_modules/elsewhere': { version, optional: true, os: ['plan9'] },
      },
    }),
  );
}

function run(root: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [...(options.nodeOptions ?? []), join(root, 'scripts/bootstrap.mjs'), ...args],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env['PATH'] ?? '',
          npm_execpath: join(root, 'npm/npm-cli.js'),
          npm_config_cache: join(root, 'npm/cache'),
          ...options.env,
        },
      },
    );
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
    options.started?.(child);
  });
}
