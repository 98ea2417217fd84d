/** What recovery takes up, and whom it asks: decided from what the leaders show. */
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { recover, toRecover, type RecoveryPort } from '../../src/engines/recovery.ts';
import { coordinatorOf, formatGid, type Decision } from '../../src/engines/two-phase.ts';
import { MeridianError } from '../../src/kernel/errors.ts';

const ID = '0e2f4a6c-8b1d-4c3e-9f5a-7b6c5d4e3f2a';
const OTHER_ID = '1e2f4a6c-8b1d-4c3e-9f5a-7b6c5d4e3f2a';
const KNOWN = new Set(['us-east-1', 'eu-west-1', 'ap-south-1']);

describe('the name of a transaction over several groups', () => {
  test('tells the group that decides, and fits the server', () => {
    const names = fc.stringMatching(/^[a-z][a-z0-9-]{0,62}$/);
    fc.assert(
      fc.property(names, fc.uuid(), (group, id) => {
        const gid = formatGid(group, id);
        assert.equal(coordinatorOf(gid), group);
        assert.ok(Buffer.byteLength(gid) < 200);
      }),
    );
  });

  test('of anything else nothing is read', () => {
    for (const gid of [
      ...['', 'meridian', 'meridian:us-east-1', `meridian::${ID}`, `meridian:us-east-1:${ID} `],
      ...[`Meridian:us-east-1:${ID}`, `meridian:us_east:${ID}`, `x:meridian:us-east-1:${ID}`],
      ...[`meridian:us-east-1:${ID}:1`, `meridian:us-east-1:${ID.toUpperCase()}`, 'meridian:a:b'],
    ]) {
      assert.equal(coordinatorOf(gid), undefined, gid);
    }
    fc.assert(fc.property(fc.string(), (text) => coordinatorOf(text) === undefined));
  });
});

describe('recovery', () => {
  const gid = formatGid('us-east-1', ID);
  const other = formatGid('ap-south-1', OTHER_ID);

  test('takes up what is old enough, with every group that shows it, oldest first', () => {
    const seen = new Map([
      ['eu-west-1', [{ gid, ageMs: 6_000 }]],
      [
        'ap-south-1',
        [
          { gid, ageMs: 4_000 },
          { gid: formatGid('us-east-1', OTHER_ID), ageMs: 4_000 },
        ],
      ],
      ['us-east-1', [{ gid: other, ageMs: 9_000 }]],
    ]);
    assert.deepEqual(toRecover(seen, { known: KNOWN, olderThanMs: 5_000 }), [
      { gid: other, coordinator: 'ap-south-1', groups: ['us-east-1'] },
      { gid, coordinator: 'us-east-1', groups: ['eu-west-1', 'ap-south-1'] },
    ]);
  });

  test('leaves alone what is not ours, and whose group does not exist', () => {
    const strange = ['other', formatGid('gone-1', ID)].map((name) => ({ gid: name, ageMs: 1e9 }));
    const seen = new Map([['eu-west-1', strange]]);
    assert.deepEqual(toRecover(seen, { known: KNOWN, olderThanMs: 0 }), []);
  });

  const portOf = (changes: Partial<RecoveryPort>, done: string[]): RecoveryPort => ({
    prepared: (group) => Promise.resolve(group === 'eu-west-1' ? [{ gid, ageMs: 9_000 }] : []),
    settle: (group) => {
      done.push(`ask ${group}`);
      return Promise.resolve<Decision>('commit');
    },
    finish: (group, _gid, decision) => {
      done.push(`${decision} ${group}`);
      return Promise.resolve();
    },
    ...changes,
  });
  const options = { groups: [...KNOWN], known: KNOWN, olderThanMs: 5_000 };
  const away = (): Promise<never> =>
    Promise.reject(new MeridianError('ERR_ENGINE_UNAVAILABLE', 'away'));

  test('asks the coordinator, then finishes as it says', async () => {
    const done: string[] = [];
    assert.deepEqual(await recover(portOf({}, done), options), [{ gid, decision: 'commit' }]);
    assert.deepEqual(done, ['ask us-east-1', 'commit eu-west-1']);
  });

  test('without the coordinator nothing is finished; a group that is away hides no other', async () => {
    const done: string[] = [];
    assert.deepEqual(await recover(portOf({ settle: away }, done), options), []);
    assert.deepEqual(done, []);
    const prepared = (group: string): ReturnType<RecoveryPort['prepared']> =>
      group === 'ap-south-1' ? away() : portOf({}, []).prepared(group);
    assert.equal((await recover(portOf({ prepared }, done), options)).length, 1);
  });
});
