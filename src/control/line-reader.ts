/**
 * Cuts a stream of bytes into lines, holding at most one unfinished line of bounded size, so that a
 * peer that never sends a newline cannot fill the memory. Pure.
 */
import { MeridianError } from '../kernel/errors.ts';

const NEWLINE = 0x0a;

export class LineReader {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that this chunk completes. Throws ERR_CONTROL_UNAVAILABLE past the bound. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, end === -1 ? undefined : end);
      if (this.#length + piece.length > this.#maxBytes) {
        throw new MeridianError(
          'ERR_CONTROL_UNAVAILABLE',
          `a line of the feed is longer than ${String(this.#maxBytes)} bytes`,
        );
      }
      if (piece.length > 0) this.#pieces.push(piece);
      this.#length += piece.length;
      if (end === -1) return lines;
      lines.push(Buffer.concat(this.#pieces).toString('utf8'));
      this.#pieces = [];
      this.#length = 0;
      start = end + 1;
    }
  }
}
