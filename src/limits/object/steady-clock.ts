/**
 * A wall clock that never goes back, which the queue's rules rely on. A jump back counts as no time passed, and time
 * goes on from there, so a corrected clock can't freeze the limits.
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
