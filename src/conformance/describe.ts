/** Hands the laws to a test runner: one test for each law and layout, and the report as the last. */
import type { SurvivalGoal } from '../topology/survival.ts';
import { missingControls, uphold } from './law.ts';
import { LAWS } from './laws/all.ts';
import type { ConformanceReport, LawOutcome } from './report.ts';
import { Stage } from './stage.ts';
import type { EngineSubject } from './subject.ts';

/** What the suite asks of a runner: node:test and vitest have these, under these or similar names. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  readonly before: (body: () => Promise<void>) => unknown;
  readonly after: (body: () => Promise<void>) => unknown;
}

export interface DescribeOptions {
  /** The suite's last act, in a test of its own: for writing or comparing the capability matrix. */
  readonly onReport?: (report: ConformanceReport) => Promise<void>;
}

export function describeEngine(
  subject: EngineSubject,
  runner: TestRunner,
  options: DescribeOptions = {},
): void {
  const { name, capabilities } = subject.adapter;
  const layouts = capabilities.survivalGoals.map((survive) => {
    const outcomes = new Map<string, LawOutcome>();
    runner.describe(`engine ${name}, survive: '${survive}'`, () => {
      describeLayout({ subject, survive, outcomes }, runner);
    });
    return { survive, outcomes };
  });
  runner.describe(`engine ${name}`, () => {
    runner.test('the report', async () => {
      await options.onReport?.({ engine: name, capabilities, layouts });
    });
  });
}

function describeLayout(
  layout: {
    readonly subject: EngineSubject;
    readonly survive: SurvivalGoal;
    readonly outcomes: Map<string, LawOutcome>;
  },
  runner: TestRunner,
): void {
  const { subject, survive, outcomes } = layout;
  let stage: Stage | undefined;
  runner.before(async () => {
    stage = await Stage.start(subject, { survive, groups: 2 });
    await stage.converge();
  });
  runner.after(async () => stage?.[Symbol.asyncDispose]());
  for (const law of LAWS) {
    runner.test(`${law.id} ${law.says}`, async () => {
      if (stage === undefined) throw new Error('the cluster did not start');
      const missing = missingControls(law, stage.faults);
      if (missing !== undefined) {
        outcomes.set(law.id, { kind: 'not run', why: missing });
        return;
      }
      outcomes.set(law.id, { kind: 'broken', why: 'it did not come to an end' });
      outcomes.set(law.id, { kind: await uphold(law, stage) });
    });
  }
}
