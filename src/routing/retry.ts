/**
 * What to do after an attempt failed: ask again, ask the next target, or tell the client. Pure. Full jitter after
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ (seen 2026-11).
 */

import type { GatewayError } from "../errors.ts";
import type { RouteRecord } from "../tenants/records/route-record.ts";

/** No pause between attempts is longer than this unless the upstream asks for it. */
const MAX_BACKOFF_MS = 10_000;

/** With another target left, a longer Retry-After than this is not slept through: the next one answers sooner. */
const PATIENCE_WITH_ALTERNATIVE_MS = 2_000;

export type NextStep =
  | { readonly kind: "retry"; readonly delayMs: number }
  | (Leave & { readonly kind: "fallback" })
  | (Leave & { readonly kind: "give_up" });

interface Leave {
  /** Another try of the same target was due, and was not within the tenant's budget. */
  readonly isOverBudget?: true;
}

export interface FailedAttempt {
  readonly error: GatewayError;
  /** Attempts made at this target, this one included. */
  readonly attemptsOfTarget: number;
  readonly hasNextTarget: boolean;
  /** What is left of the request's total time. */
  readonly remainingMs: number;
  readonly rules: RouteRecord["retries"];
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Takes one retry out of the tenant's budget; false where nothing is left. */
  readonly takeRetry: () => boolean;
}

/** Never retries the caller's own faults; never sleeps past the request's deadline. */
export function nextStep(failed: FailedAttempt): NextStep {
  const { error, hasNextTarget } = failed;
  if (!error.canFallBack || failed.remainingMs <= 0) return { kind: "give_up" };
  const elsewhere: NextStep = hasNextTarget ? { kind: "fallback" } : { kind: "give_up" };
  if (failed.attemptsOfTarget >= failed.rules.maxAttempts || !isWorthRetrying(error, failed.rules.on)) {
    return elsewhere;
  }
  const delayMs = error.details.retryAfterMs ?? backoffMs(failed);
  if (delayMs >= failed.remainingMs) return elsewhere;
  if (hasNextTarget && delayMs > PATIENCE_WITH_ALTERNATIVE_MS) return elsewhere;
  return failed.takeRetry() ? { kind: "retry", delayMs } : { ...elsewhere, isOverBudget: true };
}

/** Our own bad credential will be refused again; a fault without a status (network, timeout, garbage) may pass. */
function isWorthRetrying(error: GatewayError, statuses: readonly number[]): boolean {
  if (error.code === "upstream_auth") return false;
  const { upstreamStatus } = error.details;
  return upstreamStatus === undefined || upstreamStatus < 400 || statuses.includes(upstreamStatus);
}

function backoffMs({ attemptsOfTarget, rules, random }: FailedAttempt): number {
  const ceiling = Math.min(MAX_BACKOFF_MS, rules.baseDelayMs * 2 ** (attemptsOfTarget - 1));
  return Math.round(random() * ceiling);
}
