/** The account a request names: found when it is clear, refused when servers could read it differently. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { accountFinder } from '../../src/gateway/account.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';

const byPath = accountFinder([{ kind: 'path', pattern: '/accounts/:account' }]);

function found(path: string, rawHeaders: string[] = [], find = byPath): string {
  const finding = find({ path, rawHeaders, host: '', claims: undefined, open: false });
  return finding.kind === 'account' ? `=${finding.id}` : finding.kind;
}

describe('by path', () => {
  const cases: readonly (readonly [path: string, expected: string])[] = [
    ['/accounts/alice', '=alice'],
    ['/accounts/alice/balance?x=/accounts/bob', '=alice'],
    ['/accounts/alice?x=1', '=alice'],
    ['/accounts/alice#/../bob', '=alice'],
    ['/accounts', 'none'],
    ['/accounts/', 'none'],
    ['/', 'none'],
    ['/Accounts/alice', 'none'],
    ['//accounts/alice', 'none'],
    ['/accounts//alice', 'none'],
    ['/v1/accounts/alice', 'none'],
    // Each segment is decoded once: an encoded slash is part of the id, not a separator.
    ['/accounts/a%2Fb', '=a/b'],
    ['/accounts/a%252Fb', '=a%2Fb'],
    ['/%61ccounts/alice', '=alice'],
    ['/accounts/a%2Db%3A1', '=a-b:1'],
    // What one server normalises and another does not.
    ['/accounts/alice/../bob', 'invalid'],
    ['/accounts/../accounts/bob', 'invalid'],
    ['/accounts/alice/%2e%2E/bob', 'invalid'],
    ['/accounts/.', 'invalid'],
    ['/accounts/alice\\..\\bob', 'invalid'],
    ['/x/../accounts/bob', 'invalid'],
    // Not an id.
    ['/accounts/%', 'invalid'],
    ['/accounts/%zz', 'invalid'],
    ['/accounts/%ff', 'invalid'],
    ['/accounts/M%C3%BCller', 'invalid'],
    ['/accounts/a%20b', 'invalid'],
    ['/accounts/a%00b', 'invalid'],
    ['/accounts/a%0Ab', 'invalid'],
    ['/accounts/%E2%80%AEevil', 'invalid'],
    [`/accounts/${'a'.repeat(128)}`, `=${'a'.repeat(128)}`],
    [`/accounts/${'a'.repeat(129)}`, 'invalid'],
    ['/accounts/...', '=...'],
  ];
  for (const [path, expected] of cases) {
    test(`${path.slice(0, 40)} → ${expected.slice(0, 20)}`, () => {
      assert.equal(found(path), expected);
    });
  }

  test('literal segments around :account belong to the pattern', () => {
    const find = accountFinder([{ kind: 'path', pattern: '/t/:account/orders' }]);
    assert.equal(found('/t/alice/orders/7', [], find), '=alice');
    assert.equal(found('/t/alice/cart', [], find), 'none');
    assert.equal(found('/t/alice', [], find), 'none');
  });

  test('any printable id comes back whole, whatever its characters', () => {
    const id = fc
      .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 128 })
      .filter((text) => /^[\x21-\x7e]+$/.test(text) && text !== '.' && text !== '..');
    fc.assert(
      fc.property(id, (text) => {
        assert.equal(found(`/accounts/${encodeURIComponent(text)}/balance`), `=${text}`);
      }),
    );
  });

  test('arbitrary paths never throw, and never name an account beyond the limits', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        const finding = byPath({
          path: `/accounts/${text}`,
          rawHeaders: [],
          host: '',
          claims: undefined,
          open: false,
        });
        if (finding.kind !== 'account') return;
        assert.ok(finding.id.length >= 1 && finding.id.length <= 128);
        assert.match(finding.id, /^[\x21-\x7e]+$/);
      }),
    );
  });
});

describe('by header', () => {
  const find = accountFinder([
    { kind: 'header', name: 'X-Account' },
    { kind: 'path', pattern: '/accounts/:account' },
  ]);

  test('names are compared without case, and the first source wins', () => {
    assert.equal(found('/accounts/bob', ['x-ACCOUNT', 'alice'], find), '=alice');
    assert.equal(found('/accounts/bob', ['Accept', '*/*'], find), '=bob');
  });

  test('the value is taken literally', () => {
    assert.equal(found('/', ['X-Account', 'a%2Fb'], find), '=a%2Fb');
    assert.equal(found('/', ['X-Account', 'a b'], find), 'invalid');
    assert.equal(found('/', ['X-Account', '\xff\xfe'], find), 'invalid');
  });

  test('an empty or repeated header is refused', () => {
    assert.equal(found('/', ['X-Account', ''], find), 'invalid');
    assert.equal(found('/', ['X-Account', 'a', 'x-account', 'a'], find), 'invalid');
  });
});

test('a pattern that can never name an account is refused with its key', () => {
  for (const pattern of ['/accounts', 'accounts/:account', '/:account/:account', '']) {
    assert.throws(
      () => accountFinder([{ kind: 'path', pattern }]),
      (error) =>
        isMeridianError(error, 'ERR_CONFIG_INVALID') &&
        error.message.includes('gateway.account[0]'),
    );
  }
  assert.throws(
    () => accountFinder([{ kind: 'header', name: 'a b' }]),
    (error) => isMeridianError(error, 'ERR_CONFIG_INVALID'),
  );
});
