/** Names and texts that go into SQL without parameters. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { quoteIdentifier, quoteLiteral } from '../../src/engines/postgres/quote.ts';

const text = fc.string({ unit: fc.constantFrom("'", '"', '\\', 'a', ' ', ';', '-', 'é', '\n') });

describe('quoting for SQL', () => {
  test('an identifier is one quoted name, from which the text can be read back', () => {
    fc.assert(
      fc.property(text, (name) => {
        const quoted = quoteIdentifier(name);
        assert.match(quoted, /^"(?:[^"]|"")*"$/);
        assert.equal(quoted.slice(1, -1).replaceAll('""', '"'), name);
      }),
    );
  });

  test('a literal is one quoted text, from which the text can be read back', () => {
    fc.assert(
      fc.property(text, (value) => {
        const quoted = quoteLiteral(value);
        const escaped = quoted.startsWith('E');
        assert.equal(escaped, value.includes('\\'));
        const inner = quoted.slice(escaped ? 2 : 1, -1);
        assert.match(inner, escaped ? /^(?:[^'\\]|''|\\\\)*$/ : /^(?:[^']|'')*$/);
        const read = inner.replaceAll("''", "'");
        assert.equal(escaped ? read.replaceAll('\\\\', '\\') : read, value);
      }),
    );
  });

  test('the NUL byte is refused', () => {
    assert.throws(() => quoteIdentifier('a\0b'), RangeError);
    assert.throws(() => quoteLiteral('a\0b'), RangeError);
  });
});
