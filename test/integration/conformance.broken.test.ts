/**
 * Each law of the conformance suite against an adapter that breaks it, on one running cluster: a law
 * that no adapter can fail would promise nothing.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LAWS, Stage, uphold, type EngineSubject } from 'meridian/conformance';
import type { Engine, EngineAdapter } from '../../src/engines/engine.ts';
import { BROKEN_ENGINES } from '../support/broken-engines.ts';
import type { Broken } from '../support/engine-faults.ts';
import { postgresSubject } from '../support/postgres-subject.ts';

describe('broken engines', () => {
  let sound: Stage;

  before(async () => {
    sound = await Stage.start(postgresSubject, { survive: 'zone', groups: 2 });
    await sound.converge();
  });
  after(() => sound[Symbol.asyncDispose]());

  test('there is one for every law', () => {
    const broken = new Set(BROKEN_ENGINES.map((one) => one.law));
    assert.deepEqual(
      LAWS.map((law) => law.id).filter((id) => !broken.has(id)),
      [],
    );
    assert.equal(new Set(LAWS.map((law) => law.id)).size, LAWS.length, 'ids are unique');
  });

  for (const broken of BROKEN_ENGINES) {
    test(`${broken.law} catches one that ${broken.does}`, async (t) => {
      const law = LAWS.find((one) => one.id === broken.law);
      assert.ok(law);
      const lives: Engine[] = [];
      const stage = breakStage(sound, broken, lives);
      try {
        await assert.rejects(uphold(law, stage), (error: Error & { code?: string }) => {
          assert.equal(error.code, 'ERR_CONFORMANCE');
          assert.ok(error.message.startsWith(`${law.id} ${law.says}`), error.message);
          t.diagnostic(error.message.slice(`${law.id} ${law.says} `.length));
          return true;
        });
      } finally {
        await stage.closeSessions();
        await recover(sound, lives);
      }
    });
  }
});

/** The sound cluster under a broken adapter; `lives` gets the real engines that it opens. */
function breakStage(sound: Stage, broken: Broken, lives: Engine[]): Stage {
  const real: EngineAdapter = postgresSubject.adapter;
  const wrap = (engine: Engine, life: number): Engine => ({
    ...engine,
    ...broken.engine?.(engine, life),
  });
  const adapter: EngineAdapter = {
    ...real,
    open: async (options, services) => {
      const engine = await real.open(options, services);
      lives.push(engine);
      return wrap(engine, lives.length);
    },
    connector: (services) => {
      const connector = real.connector(services);
      return { ...connector, ...broken.connector?.(connector, () => sound.engine) };
    },
    ...broken.adapter?.(real),
  };
  const subject: EngineSubject = { ...postgresSubject, adapter };
  return sound.under(subject, wrap(sound.engine, 0));
}

/** A law that ended an engine, or failed while one was open, leaves the cluster to be started anew. */
async function recover(sound: Stage, lives: readonly Engine[]): Promise<void> {
  const works = await sound.engine.observe({}).then(
    () => lives.length === 0,
    () => false,
  );
  if (works) return;
  await Promise.all(lives.map((engine) => engine.stop()));
  await sound.restart();
}
