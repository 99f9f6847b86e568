/** Processor time of the fastest of three runs, in ms: what else the machine does, or a collection in between, does not count. */
export function processorMs(run: () => void): number {
  const runs = [1, 2, 3].map(() => {
    const before = process.cpuUsage();
    run();
    return process.cpuUsage(before).user / 1000;
  });
  return Math.min(...runs);
}
