/** Where a bearer token is found, which paths need none, and which accounts its claims allow. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { accountFromClaim, accountFromHost, accountFromPath } from '../../src/config/parts.ts';
import { accountFinder, type NamingRequest } from '../../src/gateway/account.ts';
import { bearerOf } from '../../src/gateway/bearer.ts';
import type { AccountSource } from '../../src/gateway/options.ts';
import { publicPaths } from '../../src/gateway/public-paths.ts';
import { isMeridianError } from '../../src/kernel/errors.ts';

describe('the bearer token', () => {
  test('is in one Authorization header, whatever the case of its scheme', () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const found = bearerOf(['X', '1', 'AUTHORIZATION', `${scheme} abc.def.ghi `], undefined);
      assert.deepEqual(found, { text: 'abc.def.ghi', from: 'header' });
    }
    assert.equal(bearerOf(['Authorization', 'Basic abc'], undefined), undefined);
    assert.equal(bearerOf(['Authorization', 'Bearerabc'], undefined), undefined);
    assert.deepEqual(bearerOf(['Authorization', 'Bearer'], undefined)?.text, '');
    assert.throws(
      () => bearerOf(['Authorization', 'Bearer a', 'authorization', 'Bearer b'], undefined),
      (error) => isMeridianError(error, 'ERR_GATEWAY_REQUEST_INVALID'),
    );
  });

  test('or in the declared cookie, after the header', () => {
    const cookies = ['Cookie', 'a=1; session=abc', 'cookie', 'session=later'];
    assert.equal(bearerOf(cookies, undefined), undefined);
    assert.deepEqual(bearerOf(cookies, 'session'), { text: 'abc', from: 'cookie' });
    assert.deepEqual(bearerOf([...cookies, 'Authorization', 'Bearer x'], 'session')?.text, 'x');
    assert.equal(bearerOf(['Cookie', 'session='], 'session'), undefined);
    fc.assert(
      fc.property(fc.array(fc.string()), (raw) => {
        fc.pre(!raw.some((name) => name.toLowerCase() === 'authorization'));
        bearerOf(raw, 'session');
      }),
    );
  });
});

describe('public paths', () => {
  const isPublic = publicPaths(['/login', '/assets/img']);
  const cases: readonly (readonly [path: string, expected: boolean])[] = [
    ['/login', true],
    ['/login/', true],
    ['/login?next=/../accounts', true],
    ['/login/reset/x', true],
    ['/assets/img/a%20b.png', true],
    ['/logins', false],
    ['/Login', false],
    ['/', false],
    ['/assets', false],
    // What an app server may read as another path.
    ['/login/../accounts/alice', false],
    ['/login/%2e%2e/accounts/alice', false],
    ['/login/..%2faccounts/alice', false],
    ['/login/..;/accounts/alice', false],
    ['/login/..\\accounts', false],
    ['/login%5c..%5caccounts', false],
    ['//login', false],
    ['/login//accounts/alice', false],
    ['/login/%00', false],
    ['/login/%zz', false],
    ['/login/%252e%252e/x', true],
  ];
  for (const [path, expected] of cases) {
    test(`${path} ${expected ? 'needs no token' : 'needs one'}`, () => {
      assert.equal(isPublic(path), expected);
    });
  }

  test('nothing is public unless declared', () => {
    assert.equal(publicPaths([])('/login'), false);
  });
});

function named(
  sources: readonly AccountSource[],
  request: Partial<NamingRequest> & { readonly path?: string },
): string {
  const finding = accountFinder(sources)({
    ...{ path: '/', host: '', rawHeaders: [], claims: undefined, open: false },
    ...request,
  });
  return finding.kind === 'account' ? `=${finding.id}` : finding.kind;
}

describe('an account by host', () => {
  const byHost = [accountFromHost(':account.shop.example')];
  const cases: readonly (readonly [host: string, expected: string])[] = [
    ['alice.shop.example', '=alice'],
    ['ALICE.Shop.Example:8443', '=alice'],
    ['alice.shop.example.', '=alice'],
    ['shop.example', 'none'],
    ['.shop.example', 'none'],
    ['a.alice.shop.example', 'none'],
    ['alice.shop.example.evil', 'none'],
    ['alice.evil.example', 'none'],
    ['[::1]:80', 'none'],
    ['', 'none'],
    ['m\u00fcller.shop.example', 'invalid'],
  ];
  for (const [host, expected] of cases) {
    test(`${host} → ${expected}`, () => {
      assert.equal(named(byHost, { host }), expected);
    });
  }
});

describe('an account by claim', () => {
  const claim = accountFromClaim('account_id');
  const path = accountFromPath('/accounts/:account');
  const alice = { account_id: 'alice' };

  test('names it, and one of a list that has one', () => {
    assert.equal(named([claim], { claims: alice }), '=alice');
    assert.equal(named([claim], { claims: { account_id: ['alice'] } }), '=alice');
    assert.equal(named([claim], { claims: { account_id: ['alice', 'bob'] } }), 'none');
    assert.equal(named([claim], { claims: {} }), 'none');
    assert.equal(named([claim], {}), 'none');
    for (const value of [1, true, null, { a: 1 }, 'a b', '']) {
      assert.equal(named([claim], { claims: { account_id: value } }), 'invalid');
    }
    assert.equal(named([accountFromClaim('constructor')], { claims: {} }), 'none');
  });

  test('binds: what the request names must be in it, in whichever order and way it is named', () => {
    for (const sources of [
      [claim, path],
      [path, claim],
    ]) {
      assert.equal(named(sources, { path: '/accounts/alice', claims: alice }), '=alice');
      assert.equal(named(sources, { path: '/accounts/bob', claims: alice }), 'unbound');
      assert.equal(named(sources, { path: '/orders', claims: alice }), '=alice');
      assert.equal(named(sources, { path: '/accounts/bob', claims: {} }), 'unbound');
      assert.equal(named(sources, { path: '/accounts/bob' }), 'unbound');
      const list = { account_id: ['alice', 'bob'] };
      assert.equal(named(sources, { path: '/accounts/bob', claims: list }), '=bob');
      assert.equal(named(sources, { path: '/accounts/carol', claims: list }), 'unbound');
    }
    // Not only the source that counts.
    const header = { kind: 'header', name: 'x-account' } as const;
    const rawHeaders = ['X-Account', 'bob'];
    const request = { path: '/accounts/alice', rawHeaders, claims: alice };
    assert.equal(named([path, header, claim], request), 'unbound');
  });

  test('a number is not the text of it, and a path that is unclear stays unclear', () => {
    const claims = { account_id: ['1', 2] };
    assert.equal(named([claim, path], { path: '/accounts/2', claims }), 'unbound');
    assert.equal(named([path, claim], { path: '/accounts/../2', claims }), 'invalid');
  });

  test('when-present lets tokens without it name any; leaving the token out does not', () => {
    const loose = [accountFromClaim('account_id', { binding: 'when-present' }), path];
    assert.equal(named(loose, { path: '/accounts/bob', claims: {} }), '=bob');
    assert.equal(named(loose, { path: '/accounts/bob', claims: alice }), 'unbound');
    assert.equal(named(loose, { path: '/accounts/bob' }), 'unbound');
  });

  test('never only names; and what is open to anybody is bound by nothing', () => {
    const free = [path, accountFromClaim('account_id', { binding: 'never' })];
    assert.equal(named(free, { path: '/accounts/bob', claims: alice }), '=bob');
    assert.equal(named(free, { claims: alice }), '=alice');
    assert.equal(named([path, claim], { path: '/accounts/bob', open: true }), '=bob');
  });

  test('a binding claim is never got around', () => {
    const id = fc.stringMatching(/^[a-z]{1,3}$/);
    fc.assert(
      fc.property(id, fc.array(id, { maxLength: 3 }), (asked, held) => {
        const claims = { account_id: held };
        const found = named([path, claim], { path: `/accounts/${asked}`, claims });
        assert.equal(found, held.includes(asked) ? `=${asked}` : 'unbound');
      }),
    );
  });
});
