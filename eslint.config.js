/**
 * What the compiler does not check and a reader would miss: forgotten promises, forgotten union members,
 * hidden inputs (time, randomness, environment) outside the kernel. Layout belongs to Prettier; import
 * directions, sizes and names belong to test/tidy. A rule that asks only for another spelling stays out.
 */
import { builtinModules } from 'node:module';
import tseslint from 'typescript-eslint';

const bareBuiltins = builtinModules
  .filter((name) => !name.startsWith('_') && !name.startsWith('node:'))
  .map((name) => ({ name, message: `Import it as 'node:${name}'.` }));

const inject = (port) => `Take ${port} from src/kernel as a parameter, so that a test can own it.`;

const hiddenInputs = {
  'no-restricted-globals': [
    'error',
    { name: 'setTimeout', message: inject('a Clock') },
    { name: 'setInterval', message: inject('a Clock') },
    { name: 'console', message: inject('a Log') },
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Date', property: 'now', message: inject('a Clock') },
    { object: 'performance', property: 'now', message: inject('a Clock') },
    { object: 'Math', property: 'random', message: inject('a Random') },
    { object: 'process', property: 'env', message: 'Only entry files read the environment.' },
    {
      object: 'AbortSignal',
      property: 'any',
      message: 'Node 20 keeps them for ever; use `firstOf`.',
    },
  ],
  'no-restricted-syntax': [
    'error',
    {
      selector: "NewExpression[callee.name='Date'][arguments.length=0]",
      message: inject('a Clock'),
    },
    // By its call: `process` is also what a hosted process is called, and `exit` how it ended.
    {
      selector: "CallExpression[callee.object.name='process'][callee.property.name='exit']",
      message: 'Only entry files end the process.',
    },
  ],
  'no-restricted-imports': [
    'error',
    {
      paths: [
        ...bareBuiltins,
        { name: 'node:timers', message: inject('a Clock') },
        { name: 'node:timers/promises', message: inject('a Clock') },
      ],
    },
  ],
};

export default tseslint.config(
  { ignores: ['dist*/', '.meridian/', 'coverage/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        // node:test runs and awaits what these return.
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['test', 'it', 'describe', 'suite'] },
          ],
        },
      ],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/max-params': ['error', { max: 3 }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // An interface may ask for a promise that an implementation has at once.
      '@typescript-eslint/require-await': 'off',
      // Functions are passed on as values where they use no `this`; the compiler sees the others.
      '@typescript-eslint/unbound-method': 'off',
      'no-restricted-imports': ['error', { paths: bareBuiltins }],
      eqeqeq: 'error',
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/kernel/**', 'src/cli/**', 'src/**/*-process.ts'],
    rules: hiddenInputs,
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      // Bodies of responses and rows are untyped by nature; the assertion is what checks them.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    rules: {
      'no-restricted-imports': ['error', { paths: bareBuiltins }],
      'no-unused-vars': 'error',
      eqeqeq: 'error',
    },
  },
);
