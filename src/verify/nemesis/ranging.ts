/**
 * Ranges and accounts that go elsewhere: asked for as an operator would, beside whatever else happens. What
 * takes too long is called off, unless it is too late for that: either way it ends.
 */
import type { OperationRequest } from '../../control/operation.ts';
import { isMeridianError } from '../../kernel/errors.ts';
import { rangeToMove } from './scene.ts';
import type { Stage } from './stage.ts';
import type { FaultKind, RangeStep } from './steps.ts';

const TIMEOUT_MS = 30_000;
/** From then on it is not waited for any more: what has not ended is told by whoever looks at the end. */
const GIVEN_UP_MS = 120_000;
/** Of those that are re-homed together. */
const TOGETHER = 3;

/** What is to be done, which resolves when it has ended, in either way; undefined: nothing is. */
export async function beginRangeStep(
  stage: Stage,
  step: RangeStep,
  kind: FaultKind,
): Promise<(() => Promise<void>) | undefined> {
  const asked = await requestOf(stage, step);
  if (asked === undefined) return undefined;
  return () => carriedOut(stage, { ...asked, kind });
}

interface Asked {
  readonly request: OperationRequest;
  readonly what: string;
  readonly struck: readonly string[];
}

async function requestOf(stage: Stage, step: RangeStep): Promise<Asked | undefined> {
  const { view } = stage.scene();
  switch (step.do) {
    case 'begin-move': {
      const chosen = rangeToMove({ view }, step);
      if (chosen === undefined) return undefined;
      const { range, to } = chosen;
      const from = view.ranges[range]?.group ?? 'nowhere';
      const what = `move ${range} from ${from} to ${to}`;
      return { request: { kind: 'move', range, to }, what, struck: [from, to] };
    }
    case 'begin-rehome': {
      const { group: to } = step;
      const accounts = picked(
        step.pinned === true ? stage.pinned : stage.movable,
        step.pick,
        TOGETHER,
      );
      if (accounts.length === 0) return undefined;
      const what = `re-home ${accounts.join(', ')} to ${to}`;
      return { request: { kind: 'rehome', accounts, to }, what, struck: Object.keys(view.groups) };
    }
    case 'begin-split': {
      const [account] = picked(stage.movable, step.pick, 1);
      if (account === undefined) return undefined;
      const { range, group } = await stage.locate(account);
      const what = `split ${account} off ${range}`;
      return { request: { kind: 'split', range, accounts: [account] }, what, struck: [group] };
    }
    case 'begin-merge': {
      const made = Object.values(view.ranges).find((range) => range.made === true);
      const into = Object.values(view.ranges).find(
        (range) => range.made !== true && range.group === made?.group,
      );
      if (made === undefined || into === undefined) return undefined;
      const what = `merge ${made.name} into ${into.name}`;
      const request = { kind: 'merge', range: made.name, into: into.name } as const;
      return { request, what, struck: [made.group] };
    }
  }
}

async function carriedOut(
  stage: Stage,
  { request, what, struck, kind }: Asked & { readonly kind: FaultKind },
): Promise<void> {
  const { clock, platform, injections } = stage;
  const over = injections.add({ what, kind, struck });
  const cancel = clock.schedule(TIMEOUT_MS, () => {
    callOff(stage, request).catch(() => {});
  });
  try {
    const ended = new AbortController();
    const operation = platform.operate(request).finally(() => {
      ended.abort();
    });
    const inTime = await Promise.race([
      operation.then(() => true),
      clock.sleep(GIVEN_UP_MS, ended.signal).then(
        () => false,
        () => true,
      ),
    ]);
    if (inTime) await operation;
    else operation.catch(() => {});
    over();
  } catch (error) {
    if (isMeridianError(error)) over(error.code);
    // Given up, or called off, and everything is where it was; or something of it is under way already.
    const calm = [
      ...(['ERR_OPERATION_REFUSED', 'ERR_ABORTED', 'ERR_ENGINE_CLOSED'] as const),
      // A checker tells.
      'ERR_RANGE_DIFFERS' as const,
      ...(['ERR_ENGINE_UNAVAILABLE', 'ERR_CONTROL_REQUEST'] as const),
    ];
    if (!calm.some((code) => isMeridianError(error, code))) throw error;
  } finally {
    cancel();
  }
}

async function callOff({ platform }: Stage, request: OperationRequest): Promise<void> {
  if (request.kind === 'move') {
    await platform.operate({ kind: 'cancel-move', range: request.range });
    return;
  }
  for (const { number } of (await platform.status()).transfers) {
    await platform.operate({ kind: 'cancel-transfer', number });
  }
}

function picked(accounts: readonly string[], pick: number, count: number): readonly string[] {
  const found = Array.from(
    { length: Math.min(count, accounts.length) },
    (_, n) => accounts[(pick + n) % accounts.length] ?? '',
  );
  return [...new Set(found)];
}
