/** `meridian config`: the resolved whole, as the platform would be built from it. */
import type { Command } from 'commander';
import { loadConfig } from '../../config/load.ts';
import type { ResolvedConfig } from '../../config/resolved.ts';
import type { CliIo } from '../io.ts';

/** Values that a person put into an environment may be secrets: the names alone are shown. */
export function withoutSecrets(config: ResolvedConfig): unknown {
  if (config.app === undefined) return config;
  const env = Object.fromEntries(Object.keys(config.app.env).map((name) => [name, '(set)']));
  return { ...config, app: { ...config.app, env } };
}

/** `key.path  value` lines, one per leaf. */
export function flatten(value: unknown, path = ''): (readonly [string, string])[] {
  const scalars =
    Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null);
  if (typeof value !== 'object' || value === null || scalars) {
    return [[path, JSON.stringify(value)]];
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return [[path, Array.isArray(value) ? '[]' : '{}']];
  return entries.flatMap(([key, item]) => {
    const plain = /^[A-Za-z_][\w-]*$/.test(key);
    const dotted = path === '' ? key : `${path}.${key}`;
    const next = Array.isArray(value) ? `${path}[${key}]` : dotted;
    return flatten(item, plain || Array.isArray(value) ? next : `${path}[${JSON.stringify(key)}]`);
  });
}

export function addConfigCommand(program: Command, io: CliIo): void {
  program
    .command('config')
    .description('Print the configuration with every default filled in; starts nothing.')
    .option('-c, --config <file>', 'configuration file (default: meridian.config.ts here)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', '\nExample:\n  $ meridian config --json | jq .gateway.ports')
    .action(async (options: { config?: string; json?: true }) => {
      const config = await loadConfig({ folder: io.cwd, file: options.config });
      const shown = withoutSecrets(config);
      if (options.json === true) {
        io.stdout.write(`${JSON.stringify(shown)}\n`);
        return;
      }
      const leaves = flatten(shown);
      const width = Math.max(...leaves.map(([path]) => path.length));
      const lines = leaves.map(([path, value]) => `${path.padEnd(width)}  ${value}`);
      io.stdout.write(`${lines.join('\n')}\n`);
    });
}
