/**
 * The pipeline: from a validated request to a whole answer or a stream. READ NEXT after worker.ts. Knows no HTTP
 * framework, no environment and no vendor; all it touches comes in by `Call` and `Deps`.
 */

import { admit } from "./pipeline/lease.ts";
import { firstSuccess, type Held } from "./pipeline/attempts/attempts.ts";
import type { CacheKey } from "./cache/key.ts";
import { type CacheAnswer, lookUp } from "./pipeline/caching/cached.ts";
import { batchOf, embedEach } from "./pipeline/caching/embedding-cache.ts";
import { toGatewayError } from "./errors.ts";
import { concludeFailure } from "./pipeline/end.ts";
import { openExchange } from "./pipeline/attempts/exchange.ts";
import type { Call, Deps, Generation } from "./pipeline/ports.ts";
import { routeFresh } from "./pipeline/routed.ts";
import { lookUpNear } from "./pipeline/caching/semantic-cache.ts";
import { coalesced, oncePerKey } from "./pipeline/sharing/sharing.ts";
import type { Plan } from "./routing/plan.ts";

/** One generation. Throws a row of the error table; the trace and the facts are complete either way. */
export async function generate(asked: Call, deps: Deps): Promise<Generation> {
  const { call, plan } = await routeFresh(asked, deps);
  return oncePerKey(call, deps, (first) => fromCacheOrTargets(first, plan, deps));
}

async function fromCacheOrTargets(call: Call, plan: Plan, deps: Deps): Promise<Generation> {
  const batch = batchOf(call);
  if (batch) return embedEach(call, plan, batch, deps, (part) => fromTargets(part, plan, undefined, deps));
  const { hit, ...missed } = await lookUp(call, plan, deps);
  return (
    hit ?? coalesced(call, plan, missed.key, deps, (leader) => fromNearOrTargets(leader, plan, missed, deps))
  );
}

/** Of equal requests under way only the one that leads is looked up by meaning: that costs an embedding. */
async function fromNearOrTargets(
  call: Call,
  plan: Plan,
  { key, missedIn }: CacheAnswer,
  deps: Deps,
): Promise<Generation> {
  if (plan.semantic === undefined || key === undefined || missedIn === undefined) {
    return fromTargets(call, plan, key, deps);
  }
  const { hit, cacheStore } = await lookUpNear(call, plan, plan.semantic, { key, epoch: missedIn }, deps);
  return hit ?? fromTargets(call, plan, key, { ...deps, cacheStore });
}

async function fromTargets(
  call: Call,
  plan: Plan,
  cacheKey: CacheKey | undefined,
  deps: Deps,
): Promise<Generation> {
  const admission = await admit(call, deps, plan);
  const admitted = { ...call, signal: () => admission.signal };
  try {
    const open: Held["open"] = (provider, target) => openExchange(call, provider, target);
    return await firstSuccess(admitted, plan, { admission, cacheKey, open }, deps);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    concludeFailure(call, admission, error, deps);
    throw error;
  }
}
