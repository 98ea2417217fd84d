/** Ownership: release in reverse order, once, whatever fails and whoever comes late. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isMeridianError } from '../../src/kernel/errors.ts';
import { Scope } from '../../src/kernel/scope.ts';

describe('scope', () => {
  test('releases in reverse order, each after the one before it has finished', async () => {
    const log: string[] = [];
    const scope = new Scope();
    for (const name of ['first', 'second', 'third']) {
      scope.push(name, async () => {
        log.push(`${name} begins`);
        await Promise.resolve();
        log.push(`${name} ends`);
      });
    }
    await scope.close();
    assert.deepEqual(log, [
      'third begins',
      'third ends',
      'second begins',
      'second ends',
      'first begins',
      'first ends',
    ]);
  });

  test('closes once, whoever asks and however often', async () => {
    let releases = 0;
    const scope = new Scope();
    scope.push('part', () => {
      releases += 1;
    });
    assert.equal(scope.closed, false);
    const [first, second] = [scope.close(), scope.close()];
    assert.equal(scope.closed, true);
    await Promise.all([first, second, scope[Symbol.asyncDispose]()]);
    await scope.close();
    assert.equal(releases, 1);
  });

  test('a failing release does not keep the others from running', async () => {
    const released: string[] = [];
    const scope = new Scope();
    scope.push('good', () => void released.push('good'));
    scope.push('bad', () => {
      throw new Error('stuck');
    });
    scope.push('later', () => void released.push('later'));
    await assert.rejects(scope.close(), (error: unknown) => {
      assert.ok(isMeridianError(error, 'ERR_STOP_FAILED'));
      assert.match(error.message, /bad/);
      assert.equal((error.cause as Error).message, 'stuck');
      return true;
    });
    assert.deepEqual(released, ['later', 'good']);
  });

  test('several failures arrive together', async () => {
    const scope = new Scope();
    for (const name of ['a', 'b']) scope.push(name, () => Promise.reject(new Error(name)));
    await assert.rejects(scope.close(), (error: unknown) => {
      assert.ok(error instanceof AggregateError);
      assert.equal(error.errors.length, 2);
      assert.ok(error.errors.every((failure) => isMeridianError(failure, 'ERR_STOP_FAILED')));
      return true;
    });
  });

  test('what is pushed while closing is released before close resolves', async () => {
    const log: string[] = [];
    const scope = new Scope();
    scope.push('opener', () => {
      scope.push('late', () => void log.push('late'));
      log.push('opener');
    });
    await scope.close();
    await scope.close();
    assert.deepEqual(log, ['opener', 'late']);
  });

  test('what is pushed after closing is released at once', async () => {
    const scope = new Scope();
    await scope.close();
    let released = false;
    scope.push('late', () => {
      released = true;
    });
    await scope.close();
    assert.equal(released, true);
  });

  test('a late release runs even though an earlier one failed', async () => {
    const scope = new Scope();
    scope.push('bad', () => Promise.reject(new Error('stuck')));
    const closing = scope.close();
    let released = false;
    scope.push('late', () => {
      released = true;
    });
    await assert.rejects(closing);
    await assert.rejects(scope.close(), /bad/);
    assert.equal(released, true);
  });

  test('owns disposables and hands them back', async () => {
    let disposed = 0;
    const resource = {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        disposed += 1;
      },
    };
    {
      await using scope = new Scope();
      assert.equal(scope.use('resource', resource), resource);
      assert.equal(disposed, 0);
    }
    assert.equal(disposed, 1);
  });
});
