/**
 * One call to a tenant's queue object: a new stub, a deadline, one repetition where the error allows it, and a failure
 * that says why. Knows nothing of what the call carries.
 */

import { isOverloaded, isRetryable } from "../../runtime/durable-object-errors.ts";
import { withDeadline, type StartTimer } from "../../runtime/waits.ts";
import type { QueueRpc } from "../protocol.ts";

const MAX_ATTEMPTS = 2;

/** Why the queue gave no answer. */
export type UnreachableReason = "timeout" | "overloaded" | "failed";

/** The queue object could not be called, or did not answer in time. */
export class QueueUnreachable extends Error {
  override readonly name = "QueueUnreachable";
  readonly reason: UnreachableReason;

  constructor(reason: UnreachableReason, cause?: unknown) {
    super(`The tenant's queue did not answer (${reason}).`, { cause });
    this.reason = reason;
  }
}

export interface QueueCallDeps {
  /** A new stub of the tenant's object each time: a broken one stays broken. A location hint belongs here. */
  readonly queueOf: (tenantId: string) => QueueRpc;
  readonly now: () => number;
  readonly startTimer: StartTimer;
}

/** Throws QueueUnreachable once `ms` have passed, or when the object can't be called. */
export type QueueCall = <T>(tenantId: string, ms: number, run: (queue: QueueRpc) => Promise<T>) => Promise<T>;

export function createQueueCall({ queueOf, now, startTimer }: QueueCallDeps): QueueCall {
  const timedOut = (): Error => new QueueUnreachable("timeout");
  return async function call(tenantId, ms, run) {
    const deadlineAt = now() + ms;
    for (let attempt = 1; ; attempt += 1) {
      try {
        // A repetition comes after its failure.
        return plain(await withDeadline(run(queueOf(tenantId)), deadlineAt - now(), timedOut, startTimer));
      } catch (thrown) {
        if (attempt === MAX_ATTEMPTS || !isRetryable(thrown)) throw toUnreachable(thrown);
      }
    }
  };
}

/** An RPC's result keeps memory of the call until it is disposed of; the data in it stays. */
function plain<T>(result: T): T {
  if (typeof result === "object" && result !== null) {
    const dispose: unknown = Reflect.get(result, Symbol.dispose);
    if (typeof dispose === "function") dispose.call(result);
  }
  return result;
}

function toUnreachable(thrown: unknown): QueueUnreachable {
  if (thrown instanceof QueueUnreachable) return thrown;
  return new QueueUnreachable(isOverloaded(thrown) ? "overloaded" : "failed", thrown);
}
