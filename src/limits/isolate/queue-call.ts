/**
 * One call to a tenant's queue object: a fresh stub, a deadline, one repetition where the error allows it, and its
 * failure in words. Knows nothing of what is said; called by queue-client.ts.
 */

import type { QueueRpc } from "../protocol.ts";

const MAX_ATTEMPTS = 2;

/** Why the queue gave no answer. */
export type UnreachableReason = "timeout" | "overloaded" | "failed";

/** The queue object could not be asked, or did not answer in time. */
export class QueueUnreachable extends Error {
  override readonly name = "QueueUnreachable";
  readonly reason: UnreachableReason;

  constructor(reason: UnreachableReason, cause?: unknown) {
    super(`The tenant's queue gave no answer (${reason}).`, { cause });
    this.reason = reason;
  }
}

/** Runs `run` after `ms`; the returned function stops it. */
export type StartTimer = (ms: number, run: () => void) => () => void;

export const startRealTimer: StartTimer = (ms, run) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

export interface QueueCallDeps {
  /** A new stub of the tenant's object each time: a broken one stays broken. A location hint belongs here. */
  readonly queueOf: (tenantId: string) => QueueRpc;
  readonly now: () => number;
  readonly startTimer: StartTimer;
}

/** Throws QueueUnreachable once `ms` have passed, or when the object can't be asked. */
export type QueueCall = <T>(tenantId: string, ms: number, run: (queue: QueueRpc) => Promise<T>) => Promise<T>;

export function createQueueCall({ queueOf, now, startTimer }: QueueCallDeps): QueueCall {
  return async function call(tenantId, ms, run) {
    const deadlineAt = now() + ms;
    for (let attempt = 1; ; attempt += 1) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- a repetition comes after its failure
        return plain(await within(run(queueOf(tenantId)), deadlineAt - now(), startTimer));
      } catch (thrown) {
        if (attempt === MAX_ATTEMPTS || !mayRepeat(thrown)) throw toUnreachable(thrown);
      }
    }
  };
}

/** Settles as `work` does, or throws `timeout`. */
export function within<T>(work: Promise<T>, ms: number, startTimer: StartTimer): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = startTimer(Math.max(0, ms), () => reject(new QueueUnreachable("timeout")));
    work.then(resolve, reject).finally(stop);
  });
}

/** Resolves when `work` does, with undefined when the signal fires first. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const leave = (): void => resolve(undefined);
    signal.addEventListener("abort", leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

/** Whether it slept to the end, and was not woken by the signal. */
export function sleepUnless(ms: number, signal: AbortSignal, startTimer: StartTimer): Promise<boolean> {
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

/** An RPC's result keeps memory of the call until it is disposed of; the data in it stays. */
function plain<T>(result: T): T {
  if (typeof result === "object" && result !== null) {
    const dispose: unknown = Reflect.get(result, Symbol.dispose);
    if (typeof dispose === "function") dispose.call(result);
  }
  return result;
}

/** https://developers.cloudflare.com/durable-objects/best-practices/error-handling/ (seen 2026-11). */
function mayRepeat(thrown: unknown): boolean {
  return (
    !isMarked(thrown, "overloaded") &&
    (isMarked(thrown, "retryable") || isMarked(thrown, "durableObjectReset"))
  );
}

function toUnreachable(thrown: unknown): QueueUnreachable {
  if (thrown instanceof QueueUnreachable) return thrown;
  return new QueueUnreachable(isMarked(thrown, "overloaded") ? "overloaded" : "failed", thrown);
}

function isMarked(thrown: unknown, mark: string): boolean {
  return typeof thrown === "object" && thrown !== null && Reflect.get(thrown, mark) === true;
}
