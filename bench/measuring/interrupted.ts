/** Asked to end, by whichever signal: in order the first time, since servers outlive a bench that just dies. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Aborted when asked; asked again, the process leaves at once and the rest is the next start's to end. */
export function interruption(onAsked: () => void = () => {}): AbortSignal {
  const asked = new AbortController();
  const handle = (): void => {
    if (asked.signal.aborted) process.exit(130);
    asked.abort(new Error('interrupted'));
    onAsked();
  };
  for (const signal of SIGNALS) process.on(signal, handle);
  return asked.signal;
}

/** What is done, or the interruption: what was begun is left to fail when its cluster is taken down. */
export async function unlessInterrupted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const interrupted = new Promise<never>((_, reject) => {
    const refuse = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) refuse();
    else signal.addEventListener('abort', refuse, { once: true });
  });
  return Promise.race([work, interrupted]);
}
