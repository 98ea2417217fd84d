/** Fenced code blocks of a Markdown page, with what stands after the fence's opening. */
export interface CodeBlock {
  /** "ts file=meridian.config.ts" */
  readonly info: string;
  readonly text: string;
}

export function blocksIn(markdown: string): readonly CodeBlock[] {
  return [...markdown.matchAll(/^```([^\n]*)\n([\s\S]*?)^```$/gm)].map(
    ([, info = '', text = '']) => ({ info: info.trim(), text }),
  );
}
