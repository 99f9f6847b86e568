/**
 * The pipeline: from a validated request to a whole answer or a stream. READ NEXT after worker.ts. Knows no HTTP
 * framework, no environment and no vendor; all it touches comes in by `Call` and `Deps`.
 */

import type { CacheKey } from "./cache/key.ts";
import { callTargets } from "./pipeline/attempts/attempts.ts";
import { openExchange } from "./pipeline/attempts/exchange.ts";
import type { OpenExchange } from "./pipeline/attempts/run.ts";
import { lookUp } from "./pipeline/caching/cached.ts";
import { batchOf, embedEach } from "./pipeline/caching/embedding-cache.ts";
import { lookUpSemantic } from "./pipeline/caching/semantic-cache.ts";
import { withLease } from "./pipeline/lease.ts";
import type { Call, Deps, Generation } from "./pipeline/ports.ts";
import { routeFresh } from "./pipeline/routed.ts";
import { coalesced, isCoalesced, oncePerKey } from "./pipeline/sharing/sharing.ts";
import type { Plan } from "./routing/plan.ts";

/**
 * One generation, step by step: the plan, an idempotency key's earlier answer, the cache, an equal request under way, the
 * semantic cache, the tenant's queue, the targets. Throws a row of the error table; the trace and the facts are complete
 * either way.
 */
export async function generate(asked: Call, deps: Deps): Promise<Generation> {
  const { call, plan } = await routeFresh(asked, deps);

  const fromCacheOrTargets = async (first: Call): Promise<Generation> => {
    const batch = batchOf(first);
    if (batch) return embedEach(first, plan, batch, deps, (part) => fromTargets(part, plan, undefined, deps));

    const { hit, key, missEpoch } = await lookUp(first, plan, deps);
    if (hit) return hit;

    const fromSemanticOrTargets = async (leader: Call): Promise<Generation> => {
      if (plan.semantic === undefined || key === undefined || missEpoch === undefined) {
        return fromTargets(leader, plan, key, deps);
      }
      const near = await lookUpSemantic(leader, plan, plan.semantic, missEpoch, deps);
      return near.hit ?? fromTargets(leader, plan, key, { ...deps, cacheStore: near.cacheStore });
    };
    // Of equal requests under way only the leader is looked up in the semantic cache: that costs an embedding.
    if (!isCoalesced(first)) return fromSemanticOrTargets(first);
    return coalesced(first, plan, key, deps, fromSemanticOrTargets);
  };

  const idempotencyKey = call.headers.get("idempotency-key");
  if (idempotencyKey === null) return fromCacheOrTargets(call);
  return oncePerKey(call, idempotencyKey, deps, fromCacheOrTargets);
}

/** Waits in the tenant's queue, then calls the plan's targets. `cacheKey` is where the answer may be stored. */
function fromTargets(
  call: Call,
  plan: Plan,
  cacheKey: CacheKey | undefined,
  deps: Deps,
): Promise<Generation> {
  const open: OpenExchange = (provider, target) => openExchange(call, provider, target);
  const options = { open, isKept: cacheKey !== undefined };
  return withLease(call, plan, deps, (admitted) => callTargets(admitted, plan, options, deps), cacheKey);
}
