/** Asks many objects, a few at a time. Called by the readers of traces and metrics. */

/** Objects asked at once: enough to hide the way to each, few enough to hold all their answers. */
const PARALLEL_READS = 16;

/** Results in the order of the items; at most PARALLEL_READS run at a time. */
export async function mapInParallel<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    for (;;) {
      const index = next++;
      const item = items[index];
      if (item === undefined) return;
      results[index] = await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL_READS, items.length) }, lane));
  return results;
}
