/** Works through a list, at most so many at once; stops early when told to or when one fails. */
export async function forEachBounded<T>(
  items: readonly T[],
  options: { readonly concurrency: number; readonly stop?: AbortSignal },
  run: (item: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < items.length && !failed && options.stop?.aborted !== true) {
      const item = items[next] as T;
      next += 1;
      try {
        await run(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const workers = Math.min(options.concurrency, items.length);
  await Promise.all(Array.from({ length: workers }, worker));
}
