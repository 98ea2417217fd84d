/** The one place that quotes identifiers and literals, for the statements that take no parameters. */

/** "name", with inner quotes doubled; refuses the NUL byte, which PostgreSQL cannot hold. */
export function quoteIdentifier(name: string): string {
  return `"${withoutNul(name).replaceAll('"', '""')}"`;
}

/** 'text', for standard_conforming_strings; a backslash makes it an E'' string. */
export function quoteLiteral(text: string): string {
  const quoted = `'${withoutNul(text).replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

function withoutNul(text: string): string {
  if (text.includes('\0')) throw new RangeError('a name or text for SQL holds a NUL byte');
  return text;
}
