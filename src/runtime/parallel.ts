/** Runs work on many items, a few at a time. */

/** Calls at once: enough to hide the latency of each, few enough to hold all their results. */
const PARALLEL_READS = 16;

/** Results in the order of the items; at most PARALLEL_READS run at a time. */
export async function mapInParallel<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      const item = items[index];
      if (item === undefined) return;
      results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, items.length) }, worker));
  return results;
}
