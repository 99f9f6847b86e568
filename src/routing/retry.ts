/**
 * What to do after an attempt failed: retry the target, call the next one, or fail. Pure. Full jitter after
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (seen 2026-11).
 */

import type { GatewayError } from "../errors.ts";
import type { RouteRecord } from "../tenants/records/route-record.ts";

/** The longest pause between attempts unless the upstream asks for a longer one. */
const MAX_BACKOFF_MS = 10_000;

/** With another target left, a Retry-After longer than this is not waited for: the next one answers sooner. */
const PATIENCE_WITH_ALTERNATIVE_MS = 2_000;

export type NextStep =
  | { readonly kind: "retry"; readonly delayMs: number }
  | (Leave & { readonly kind: "fallback" })
  | (Leave & { readonly kind: "give_up" });

interface Leave {
  /** A retry of the same target was due, but the tenant's retry budget is used up. */
  readonly isOverBudget?: true;
}

export interface RetryContext {
  readonly error: GatewayError;
  /** Attempts at this target, including this one. */
  readonly attemptsOfTarget: number;
  readonly hasNextTarget: boolean;
  /** What is left of the request's total time. */
  readonly remainingMs: number;
  readonly rules: RouteRecord["retries"];
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Takes one retry out of the tenant's retry budget; false where none is left. */
  readonly takeRetry: () => boolean;
}

/** Never retries the caller's own faults; never sleeps past the request's deadline. */
export function nextStep(failed: RetryContext): NextStep {
  const { error, hasNextTarget } = failed;
  if (!error.canFallBack || failed.remainingMs <= 0) return { kind: "give_up" };
  const elsewhere: NextStep = hasNextTarget ? { kind: "fallback" } : { kind: "give_up" };
  if (failed.attemptsOfTarget >= failed.rules.maxAttempts || !isWorthRetrying(error, failed.rules.on)) {
    return elsewhere;
  }
  const { retryAfterMs } = error.details;
  const delayMs = retryAfterMs ?? backoffMs(failed);
  if (delayMs >= failed.remainingMs) return elsewhere;
  if (retryAfterMs !== undefined && retryAfterMs > failed.rules.maxRetryAfterMs) return elsewhere;
  if (hasNextTarget && delayMs > PATIENCE_WITH_ALTERNATIVE_MS) return elsewhere;
  return failed.takeRetry() ? { kind: "retry", delayMs } : { ...elsewhere, isOverBudget: true };
}

/**
 * A refused credential will be refused again; a failure without a status (network, garbage) may pass. A call that ran into
 * a time limit of ours may still be generating at the upstream: called again, it would be paid twice.
 */
function isWorthRetrying(error: GatewayError, on: RouteRecord["retries"]["on"]): boolean {
  if (error.code === "upstream_auth") return false;
  const { upstreamStatus, timeout } = error.details;
  if (timeout !== undefined) return on.includes("timeout");
  return upstreamStatus === undefined || upstreamStatus < 400 || on.includes(upstreamStatus);
}

function backoffMs({ attemptsOfTarget, rules, random }: RetryContext): number {
  const ceiling = Math.min(MAX_BACKOFF_MS, rules.baseDelayMs * 2 ** (attemptsOfTarget - 1));
  return Math.round(random() * ceiling);
}
