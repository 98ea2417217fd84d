/** What our processes inherit of our own environment: what programs need to run, and nothing secret. */
const INHERITED = [
  'PATH',
  'HOME',
  'TMPDIR',
  'LANG',
  'TZ',
  'NODE_ENV',
  'NODE_OPTIONS',
  'NODE_EXTRA_CA_CERTS',
  'SystemRoot',
];

export function childEnvironment(): Record<string, string> {
  return environmentOf(INHERITED);
}

/** These variables of our own, as far as they are set: for the processes that a declaration gives them. */
export function environmentOf(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      // eslint-disable-next-line no-restricted-properties -- the one place that passes it on
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
