/**
 * Puts a changed configuration into force: drains what is left out, then has `meridian up` begin again with the file,
 * and waits until that is in force. Nothing is stored here: whoever does it again finds out what is left to do.
 */
import { declaredPlacement } from '../config/resolve.ts';
import type { ResolvedConfig } from '../config/resolved.ts';
import type { PlacementFacts } from '../control/placement.ts';
import type { Clock } from '../kernel/clock.ts';
import { isMeridianError, MeridianError } from '../kernel/errors.ts';
import type { PlanStep } from '../placement/plan/change.ts';
import type { ControlFile } from '../platform-api.ts';
import type { DeclaredPlacement } from '../topology/declared.ts';
import { fetchStatus, readControlFile, requestControl } from './control-client.ts';
import { formatDuration } from './duration.ts';
import { requestOperation } from './event-request.ts';
import { ExitCode, type CliIo } from './io.ts';
import { OperationText } from './operation-text.ts';
import { planFrom } from './placed-plan.ts';
import { planLines, stepText } from './plan-text.ts';
import { EXIT_FORCED } from './stop-request.ts';

/** A start takes as long as the last one, with room: copies of a new region are made in it. */
const START_FACTOR = 10;
const START_MIN_MS = 120_000;
const LOOK_MS = 300;

interface Applying {
  readonly config: ResolvedConfig;
  readonly after: DeclaredPlacement;
  readonly io: CliIo;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly tell: (event: ApplyEvent, text: string | undefined) => void;
}

type ApplyEvent = { readonly kind: string } & Readonly<Record<string, unknown>>;

export async function runApply(
  config: ResolvedConfig,
  { io, clock }: { readonly io: CliIo; readonly clock: Clock },
  json: boolean,
): Promise<void> {
  const stop = new AbortController();
  const unsubscribe = io.onStopSignal(() => {
    stop.abort();
  });
  const tell = (event: ApplyEvent, text: string | undefined): void => {
    if (json) io.stdout.write(`${JSON.stringify(event)}\n`);
    else if (text !== undefined) io.stdout.write(`${text}\n`);
  };
  const after = declaredPlacement(config);
  try {
    await apply({ config, after, io, clock, tell, signal: stop.signal });
  } catch (error) {
    if (!stop.signal.aborted || !isMeridianError(error, 'ERR_ABORTED')) throw error;
    io.stderr.write(
      'meridian: stopped watching; what is under way goes on. The same command again goes on from there.\n',
    );
    throw new ExitCode(EXIT_FORCED);
  } finally {
    unsubscribe();
  }
}

async function apply(on: Applying): Promise<void> {
  const { config, after, clock, tell } = on;
  const startMs = clock.monotonicMs();
  const control = await readControlFile(config.dataDirectory);
  const [facts, status] = await Promise.all([factsOf(control), fetchStatus(control)]);
  const plan = planFrom({ after, facts, status });
  if (plan.refusals.length > 0) {
    tell({ kind: 'refused', refusals: plan.refusals }, planLines(plan, []).join('\n'));
    throw new ExitCode(1);
  }
  if (!plan.restarts) {
    tell(
      { kind: 'ended', steps: [], tookMs: 0 },
      'Nothing would change: it is placed as declared.',
    );
    return;
  }
  const { steps } = plan;
  const lines = steps.map((step, at) => `  ${String(at + 1)}. ${stepText(step)}`);
  tell({ kind: 'begun', steps }, ['To be done:', ...lines].join('\n'));
  for (const step of steps) if (step.kind === 'drain-region') await drain(on, control, step);
  tell({ kind: 'phase', phase: 'restarting' }, 'Starting again with the changed configuration.');
  await requestControl(control, '/v1/reload', { configFile: config.configFile });
  await inForce(on, { control, startMs: facts.startMs });
  const tookMs = Math.round(clock.monotonicMs() - startMs);
  tell({ kind: 'ended', steps, tookMs }, `In force after ${formatDuration(tookMs)}.`);
}

function factsOf(control: ControlFile): Promise<PlacementFacts> {
  return requestControl(control, '/v1/placement', { statements: {} }) as Promise<PlacementFacts>;
}

async function drain(
  { signal, tell }: Applying,
  control: ControlFile,
  { region }: Extract<PlanStep, { kind: 'drain-region' }>,
): Promise<void> {
  const text = new OperationText();
  await requestOperation(
    control,
    { kind: 'drain', region },
    {
      signal,
      onEvent: (event) => {
        // Its beginning and end are this step's.
        const phase =
          event.kind === 'progress'
            ? event
            : { kind: 'phase', phase: `${event.kind}: drain ${region}` };
        tell(phase, text.line(event));
      },
    },
  );
}

/** The supervisor stops, starts, and says that it has what is declared now. */
async function inForce(
  { config, after, clock, signal }: Applying,
  was: { readonly control: ControlFile; readonly startMs: number },
): Promise<void> {
  const waitMs = Math.max(START_MIN_MS, START_FACTOR * was.startMs);
  const endsAtMs = clock.monotonicMs() + waitMs;
  while (clock.monotonicMs() < endsAtMs) {
    const declared = await readControlFile(config.dataDirectory)
      .then(factsOf)
      .then((facts) => facts.declared)
      .catch((error: unknown) => {
        // It does not answer while it stops and starts.
        if (isMeridianError(error)) return undefined;
        throw error;
      });
    if (declared !== undefined && sameText(declared, after)) return;
    if (!lives(was.control.pid)) {
      throw new MeridianError(
        'ERR_NOT_RUNNING',
        'the platform has stopped, and did not start with the changed configuration',
        { remedy: 'What `meridian up` printed says why; start it again when that is mended.' },
      );
    }
    await clock.sleep(LOOK_MS, signal);
  }
  throw new MeridianError(
    'ERR_CONTROL_UNAVAILABLE',
    `the changed configuration is not in force after ${formatDuration(waitMs)}`,
    { remedy: 'See what `meridian up` prints, and `meridian status`.' },
  );
}

const sameText = (one: unknown, other: unknown): boolean =>
  JSON.stringify(one) === JSON.stringify(other);

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
