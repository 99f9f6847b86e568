/**
 * A wall clock that never goes back: what the queue's rules count on. A jump back is taken as no time at all and time
 * goes on from there, so a corrected clock can't freeze the limits. Used by tenant-queue.ts.
 */

/** Milliseconds since the epoch or a little ahead of it; `floor` is the least it may begin with. */
export function createSteadyClock(read: () => number, floor = 0): () => number {
  let lastRead = read();
  let steadyAt = Math.max(lastRead, floor);
  return () => {
    const readAt = read();
    if (readAt > lastRead) steadyAt += readAt - lastRead;
    lastRead = readAt;
    return steadyAt;
  };
}
