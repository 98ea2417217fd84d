#!/usr/bin/env node
/**
 * The first thing every npm script runs: makes sure that dependencies and compiled files are there and
 * fresh, then runs the command asked for. It needs nothing installed, because it runs on a fresh clone.
 *
 *   node scripts/bootstrap.mjs <command> [arguments]
 *
 * package.json calls it with `exec`, so that a signal to npm reaches it: npm hands signals to the shell
 * that runs a script, and a shell in between keeps SIGINT to itself and dies of SIGTERM alone.
 *
 * npm's own pre-scripts would do the same more briefly, but they are skipped under `ignore-scripts`.
 * This file keeps to syntax that old versions of Node parse, so that they can be refused in words.
 */
const [major, minor] = process.versions.node.split('.').map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    'Meridian needs Node.js 20.19 or newer, and this is ' +
      process.version +
      ': install a newer one (https://nodejs.org) and run the command again.\n',
  );
  process.exitCode = 1;
} else {
  import('./bootstrap/commands.mjs').then(({ main }) => main(process.argv.slice(2)));
}
