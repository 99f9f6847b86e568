/**
 * Ways to wait that end: with a time limit, with an abort signal, or with whichever comes first. They stop the waiting,
 * not the work: a call that was given up goes on unseen, and its late failure is dropped.
 */

/** Runs `run` after `ms`; the returned function stops it. */
export type StartTimer = (ms: number, run: () => void) => () => void;

export const startRealTimer: StartTimer = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

/** Settles as `work` does, or rejects after `ms`: with an error that names `what`, or with the one that `what` makes. */
export function withDeadline<T>(
  work: Promise<T>,
  ms: number,
  what: string | (() => Error),
  startTimer: StartTimer = startRealTimer,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = startTimer(Math.max(0, ms), () =>
      reject(typeof what === "string" ? new Error(`${what} did not answer within ${ms} ms`) : what()),
    );
    work.finally(stop).then(resolve, reject);
  });
}

/** Settles as `work` does, or resolves with undefined after `ms`. */
export function orTimeout<T>(
  work: Promise<T>,
  ms: number,
  startTimer: StartTimer = startRealTimer,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = startTimer(Math.max(0, ms), () => resolve(undefined));
    work.finally(stop).then(resolve, reject);
  });
}

/** Settles as `work` does, or resolves with undefined once the signal fires. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const leave = (): void => resolve(undefined);
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    work.finally(() => signal.removeEventListener("abort", leave)).then(resolve, reject);
  });
}

/** Sleeps until `ms` have passed or the signal fires. Returns whether it slept to the end. */
export function sleepUnlessAborted(
  ms: number,
  signal: AbortSignal,
  startTimer: StartTimer = startRealTimer,
): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const stop = startTimer(ms, () => {
      signal.removeEventListener("abort", leave);
      resolve(true);
    });
    const leave = (): void => {
      stop();
      resolve(false);
    };
    signal.addEventListener("abort", leave, { once: true });
  });
}
