/** A read with a token has one right answer only when no write can be in between. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Sessions } from '../../examples/bank/load/sessions.ts';

function opened(): Sessions {
  const sessions = new Sessions();
  sessions.open('a', { region: 'us-east', token: 't0' });
  return sessions;
}

const committed = (region: string, token: string) =>
  ({ effect: 'committed', region, token }) as const;

describe('bank sessions', () => {
  test('the region that opened an account holds its first token', () => {
    const sessions = opened();
    const read = sessions.beginRead('a', 'us-east');
    assert.deepEqual([read?.token, read?.certain], ['t0', true]);
    assert.equal(sessions.beginRead('a', 'eu-west'), undefined);
  });

  test('a write that ran alone makes reads with its token certain', () => {
    const sessions = opened();
    sessions.endWrite(sessions.beginWrite('a'), committed('eu-west', 't1'));
    const read = sessions.beginRead('a', 'eu-west');
    assert.ok(read?.certain === true && sessions.stillCertain(read));
    assert.equal(read.token, 't1');
    // The other region's token is older than that write.
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, false);
  });

  test('a write in flight, or begun before the answer, leaves a read uncertain', () => {
    const sessions = opened();
    const before = sessions.beginRead('a', 'us-east');
    assert.ok(before?.certain === true);
    const write = sessions.beginWrite('a');
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, false);
    sessions.endWrite(write, committed('us-east', 't1'));
    assert.equal(sessions.stillCertain(before), false);
  });

  test('writes that overlapped make no claim, until one runs alone again', () => {
    const sessions = opened();
    const first = sessions.beginWrite('a');
    const second = sessions.beginWrite('a');
    sessions.endWrite(second, committed('us-east', 't2'));
    sessions.endWrite(first, committed('us-east', 't1'));
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, false);
    sessions.endWrite(sessions.beginWrite('a'), committed('us-east', 't3'));
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, true);
  });

  test('a refusal changes nothing: what was certain stays so', () => {
    const sessions = opened();
    sessions.endWrite(sessions.beginWrite('a'), { effect: 'none' });
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, true);
  });

  test('an unknown outcome takes the certainty away', () => {
    const sessions = opened();
    sessions.endWrite(sessions.beginWrite('a'), { effect: 'unknown' });
    assert.equal(sessions.beginRead('a', 'us-east')?.certain, false);
  });
});
