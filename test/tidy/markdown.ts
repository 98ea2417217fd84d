/** Just enough Markdown: links, headings as anchors, rows of tables, commands. */

/** Text outside fenced code, so that examples are not taken for links. */
export function withoutCode(text: string): string {
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').replace(/`[^`\n]*`/g, '');
}

export function linksIn(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].flatMap(
    ([, target]) => target ?? [],
  );
}

/** The anchors that code hosts give to headings. */
export function anchorsIn(text: string): Set<string> {
  const headings = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#{1,6}\s+(.+?)\s*$/gm);
  return new Set(
    [...headings].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^\p{Letter}\p{Number}\s_-]/gu, '')
        .replace(/\s/g, '-'),
    ),
  );
}

/** The cells of every table row whose first cell matches. */
export function rowsOf(text: string, first: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
    .filter((cells) => first.test(cells[0] ?? ''));
}

/** Names of npm scripts that a text tells its reader to run. */
export function npmScriptsIn(text: string): string[] {
  return [...text.matchAll(/\bnpm (?:run(?:-script)? ([\w:-]+)|(start|test))\b/g)].flatMap(
    ([, run, short]) => run ?? short ?? [],
  );
}
