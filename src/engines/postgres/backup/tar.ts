/**
 * Reads a tar archive as it arrives: the part of POSIX ustar that PostgreSQL's base backups use (docs,
 * 54.4), which is plain files, directories, and sizes in octal or base 256. Memory is bounded by one
 * header and whatever piece the source hands over.
 *
 * An archive comes from another machine and names files here, so each name is taken apart before
 * anybody sees it: relative, no `..`, no empty part. Links and all other types are refused, since a
 * later entry could be written through a link; our servers have no tablespaces, and so no links.
 */
import { MeridianError } from '../../../kernel/errors.ts';

export interface TarEntry {
  readonly kind: 'file' | 'directory';
  /** Below the target, with `/` between its parts; safe to join to a directory. */
  readonly path: string;
  /** Permission bits alone. */
  readonly mode: number;
  readonly size: number;
}

/** An entry, followed by the pieces of its contents, which together have its size. */
export type TarPart = TarEntry | Uint8Array;

const BLOCK = 512;
const utf8 = new TextDecoder('utf-8', { fatal: true });

export function isTarEntry(part: TarPart): part is TarEntry {
  return !(part instanceof Uint8Array);
}

/** Ends when the source does; throws ERR_ENGINE_UNAVAILABLE when the archive is not sound or not whole. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarPart> {
  const input = new Input(source);
  try {
    for (;;) {
      const block = await input.exactly(BLOCK);
      if (block.every((byte) => byte === 0)) break;
      const entry = parseHeader(block);
      yield entry;
      for (let left = entry.size; left > 0;) {
        const piece = await input.upTo(left);
        if (piece === undefined) throw unsound('it ends within a file');
        left -= piece.length;
        yield piece;
      }
      await input.exactly((BLOCK - (entry.size % BLOCK)) % BLOCK);
    }
    for (;;) {
      const rest = await input.upTo(Number.MAX_SAFE_INTEGER);
      if (rest === undefined) return;
      if (rest.some((byte) => byte !== 0)) throw unsound('it goes on after its end');
    }
  } finally {
    await input.close();
  }
}

/** Throws when the header's sum is wrong, its type is none of ours, or its name leads elsewhere. */
export function parseHeader(block: Uint8Array): TarEntry {
  if (numberAt(block, 148, 8) !== headerSum(block)) throw unsound('a header has a wrong checksum');
  const type = String.fromCharCode(block[156] ?? 0);
  const directory = type === '5';
  if (!directory && type !== '0' && type !== '\0') {
    throw unsound(`an entry has the type ${JSON.stringify(type)}, which is not taken`);
  }
  const size = numberAt(block, 124, 12);
  if (directory && size !== 0) throw unsound('a directory has contents');
  return {
    kind: directory ? 'directory' : 'file',
    path: safePath(nameOf(block)),
    mode: numberAt(block, 100, 8) & 0o777,
    size,
  };
}

/** Throws unless the name stays below the directory that it will be joined to. */
export function safePath(name: string): string {
  // Servers write some of their directories as "./pg_wal/summaries/".
  const parts = name.replace(/^\.\//, '').replace(/\/$/, '').split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..' || part.includes('\0'))) {
    throw unsound(`the name ${JSON.stringify(name)} is not taken`);
  }
  return parts.join('/');
}

function nameOf(block: Uint8Array): string {
  const ustar = textAt(block, 257, 5) === 'ustar';
  const prefix = ustar ? textAt(block, 345, 155) : '';
  const name = textAt(block, 0, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(block: Uint8Array, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  try {
    return utf8.decode(end === -1 ? field : field.subarray(0, end));
  } catch {
    throw unsound('a name is not UTF-8');
  }
}

/** Octal digits, or big-endian binary with the highest bit set for what does not fit those. */
function numberAt(block: Uint8Array, offset: number, length: number): number {
  const field = block.subarray(offset, offset + length);
  const first = field[0] ?? 0;
  let value = 0;
  if ((first & 0x80) !== 0) {
    // 0xff begins a negative number.
    value = first & 0x7f;
    for (const byte of field.subarray(1)) value = value * 256 + byte;
  } else {
    const digits = String.fromCharCode(...field).replace(/^ +|[ \0]+$/g, '');
    if (!/^[0-7]*$/.test(digits)) throw unsound('a number of a header is none');
    value = digits === '' ? 0 : Number.parseInt(digits, 8);
  }
  if (!Number.isSafeInteger(value)) throw unsound('a number of a header is too large');
  return value;
}

/** The sum of the header's bytes, the sum's own field taken as spaces. */
function headerSum(block: Uint8Array): number {
  let sum = 0;
  for (const [index, byte] of block.entries()) sum += index >= 148 && index < 156 ? 32 : byte;
  return sum;
}

export function unsound(what: string): MeridianError {
  return new MeridianError('ERR_ENGINE_UNAVAILABLE', `the base backup is not sound: ${what}`);
}

/** Pieces of any size in, pieces of the size asked for out. */
class Input {
  readonly #source: AsyncIterator<Uint8Array>;
  #piece: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At most `length` bytes, at least one; undefined at the end. */
  async upTo(length: number): Promise<Uint8Array | undefined> {
    while (this.#piece.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return undefined;
      this.#piece = next.value;
    }
    const taken = this.#piece.subarray(0, length);
    this.#piece = this.#piece.subarray(taken.length);
    return taken;
  }

  async exactly(length: number): Promise<Uint8Array> {
    const whole = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      const piece = await this.upTo(length - filled);
      if (piece === undefined) throw unsound('it ends too early');
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }
}
