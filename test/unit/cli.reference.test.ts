/** docs/reference/cli.md says what the program offers, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { run } from './cli.rig.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/reference/cli.md'), 'utf8');
const { io } = run(['--version'], { cwd: '/' });
const program = createProgram({
  io,
  clock: systemClock,
  startPlatform: () => Promise.reject(new Error('not started here')),
});

const options = (command: Command): string[] => command.options.map((option) => option.flags);

describe('the command line reference', () => {
  test('has one row for each command and option, in the same order', () => {
    const documented = page
      .split('\n')
      .filter((line) => line.startsWith('| `meridian'))
      .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')))
      .map(([, command = '', option = '', meaning = '']) => {
        assert.notEqual(meaning, '');
        return `${command} ${option}`.trim();
      });
    const offered = [
      ...options(program).map((flags) => `meridian ${flags}`),
      'meridian -h, --help',
      ...program.commands.flatMap((command) => [
        `meridian ${command.name()}`,
        ...options(command).map((flags) => `meridian ${command.name()} ${flags}`),
      ]),
    ];
    assert.deepEqual(documented, offered);
  });

  test('every command describes itself and its options', () => {
    for (const command of program.commands) {
      assert.notEqual(command.description(), '', command.name());
      for (const option of command.options) assert.notEqual(option.description, '', option.flags);
    }
  });
});
