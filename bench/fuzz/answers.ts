/**
 * What came back on a connection, split into answers by their own framing (RFC 9112 §6.3). Bytes are
 * latin1 text. Strict: what a client could misread is an error here.
 */

export interface ParsedAnswer {
  readonly status: number;
  /** All of it came. */
  readonly whole: boolean;
}

/** `methods` of the requests, in order: an answer to HEAD has no body. Throws what is malformed. */
export function parseAnswers(text: string, methods: readonly string[]): ParsedAnswer[] {
  const answers: ParsedAnswer[] = [];
  let rest = text;
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n');
    const head = end < 0 ? rest : rest.slice(0, end);
    const line = /^HTTP\/1\.1 (\d{3}) /.exec(head);
    if (line === null) {
      // The connection was cut in the first line.
      if (end < 0 && 'HTTP/1.1 '.startsWith(rest.slice(0, 9))) return answers;
      throw new Error(`no answer begins with ${JSON.stringify(rest.slice(0, 200))}`);
    }
    const status = Number(line[1]);
    if (end < 0) return [...answers, { status, whole: false }];
    rest = rest.slice(end + 4);
    if (status < 200) continue;
    const method = methods[answers.length] ?? 'GET';
    const taken = bodyLength(rest, { head, status, method });
    answers.push({ status, whole: taken !== undefined });
    if (taken === undefined) return answers;
    rest = rest.slice(taken);
  }
  return answers;
}

/** Undefined when it is not whole. */
function bodyLength(
  text: string,
  answer: { readonly head: string; readonly status: number; readonly method: string },
): number | undefined {
  const { head, status, method } = answer;
  if (method === 'HEAD' || status === 204 || status === 304) return 0;
  const lengths = [...head.matchAll(/\r\ncontent-length: *(.*)/gi)].map((match) => match[1]);
  const chunked = /\r\ntransfer-encoding: *chunked/i.test(head);
  if (lengths.length > 1 || (chunked && lengths.length > 0)) {
    throw new Error(`ambiguous framing: ${JSON.stringify(head)}`);
  }
  if (chunked) return chunkedLength(text);
  const [declared] = lengths;
  // It ends with the connection.
  if (declared === undefined) return text.length;
  // White space after a value is not part of it (RFC 9112, section 5).
  if (!/^\d+[ \t]*$/.test(declared)) throw new Error(`a length of ${JSON.stringify(declared)}`);
  return text.length < Number(declared) ? undefined : Number(declared);
}

function chunkedLength(text: string): number | undefined {
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const line = text.slice(at, end);
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`a chunk begins with ${JSON.stringify(line)}`);
    const size = parseInt(line, 16);
    at = end + 2;
    if (size === 0) break;
    at += size + 2;
    if (text.length < at) return undefined;
    if (text.slice(at - 2, at) !== '\r\n') throw new Error('a chunk is longer than it says');
  }
  // No trailers pass.
  if (text.length < at + 2) return undefined;
  if (text.slice(at, at + 2) !== '\r\n') throw new Error('trailers, which do not pass');
  return at + 2;
}
