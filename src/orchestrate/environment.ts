/** What our processes inherit of our own environment: what programs need to run, and nothing secret. */
const INHERITED = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'TZ',
  'NODE_ENV',
  'NODE_OPTIONS',
  'SystemRoot',
];

export function childEnvironment(): Record<string, string> {
  return Object.fromEntries(
    INHERITED.flatMap((name) => {
      // eslint-disable-next-line no-restricted-properties -- the one place that passes it on
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
