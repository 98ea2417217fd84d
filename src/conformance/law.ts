/**
 * A law: one numbered sentence that holds of every engine, and the experiment that would show it
 * broken. Laws are data, so that a report can list them and a broken adapter can be held against one.
 */
import type { EngineCapabilities } from '../engines/capabilities.ts';
import { MeridianError, messageOf } from '../kernel/errors.ts';
import type { Stage } from './stage.ts';
import type { FaultControls } from './subject.ts';

export interface Law {
  /** "S3"; never given to another sentence. */
  readonly id: string;
  readonly says: string;
  /** What it needs of the subject's fault controls; without that it is reported as not run. */
  readonly faults?: readonly (keyof FaultControls)[];
  /** Asked only of engines that claim it; of the others `refuse` is. */
  readonly claimed?: (capabilities: EngineCapabilities) => boolean;
  /** Rejects when the law is broken. */
  readonly check: (stage: Stage) => Promise<void>;
  /** An engine without the capability refuses, and this shows that it does. */
  readonly refuse?: (stage: Stage) => Promise<void>;
}

/** Why a law can't be run on this stage. */
export function missingControls(law: Law, faults: FaultControls): string | undefined {
  const missing = (law.faults ?? []).filter((name) => faults[name] === undefined);
  return missing.length === 0 ? undefined : `the subject has no control to ${missing.join(', ')}`;
}

/** Runs the law, or what an engine without its capability must do. Throws ERR_CONFORMANCE. */
export async function uphold(law: Law, stage: Stage): Promise<'upheld' | 'refused as unclaimed'> {
  const claimed = law.claimed?.(stage.adapter.capabilities) !== false;
  const check = claimed ? law.check : law.refuse;
  try {
    await check?.(stage);
    return claimed ? 'upheld' : 'refused as unclaimed';
  } catch (cause) {
    throw new MeridianError('ERR_CONFORMANCE', `${law.id} ${law.says} ${messageOf(cause)}`, {
      cause,
    });
  }
}
