/**
 * The pipeline: from a validated request to a whole answer or a stream. READ NEXT after worker.ts. Knows no HTTP
 * framework, no environment and no vendor; all it touches comes in by `Call` and `Deps`.
 */

import { callTargets, openAttempts } from "./pipeline/attempts/attempts.ts";
import { openExchange } from "./pipeline/attempts/exchange.ts";
import type { OpenExchange } from "./pipeline/attempts/attempt-context.ts";
import { lookUp } from "./pipeline/caching/cached.ts";
import { batchOf, embedEach } from "./pipeline/caching/embedding-cache.ts";
import { lookUpSemantic } from "./pipeline/caching/semantic-cache.ts";
import type { Answered } from "./pipeline/ended.ts";
import { withLease } from "./pipeline/lease.ts";
import type { BareCall, Call, Deps, Generation } from "./pipeline/ports.ts";
import { findPrevious } from "./pipeline/previous-response.ts";
import { routeFresh } from "./pipeline/routed.ts";
import { coalesced, isCoalesced, oncePerKey } from "./pipeline/sharing/sharing.ts";
import type { Plan } from "./routing/plan.ts";

/**
 * One generation, step by step: the plan, an idempotency key's earlier answer, the cache, an equal request under way, the
 * semantic cache, the tenant's queue, the targets. Throws a row of the error table; the trace and the facts are complete
 * either way.
 */
export async function generate(asked: Call, deps: Deps): Promise<Generation> {
  const previous = findPrevious(asked, deps);
  const { call, plan } = await routeFresh(asked, deps, previous && (await previous));

  const fromCacheOrTargets = async (first: Call): Promise<Generation> => {
    const batch = batchOf(first);
    if (batch) {
      const embed = (part: Call): Promise<Generation> =>
        withLease(part, plan, deps, callsOf(part, plan, false, deps));
      return embedEach(first, plan, batch, deps, embed);
    }
    const { hit, key, missEpoch } = await lookUp(first, plan, deps);
    if (hit) return hit;

    const { semantic } = plan;
    const isKept = key !== undefined;
    const isPlain = semantic === undefined || !isKept || missEpoch === undefined;
    if (isPlain && !isCoalesced(first)) {
      return withLease(first, plan, deps, callsOf(first, plan, isKept, deps), key);
    }
    const lead = async (leader: Call): Promise<Generation> => {
      if (isPlain) return withLease(leader, plan, deps, callsOf(leader, plan, isKept, deps), key);
      const near = await lookUpSemantic(leader, plan, semantic, missEpoch, deps);
      if (near.hit) return near.hit;
      const ports = { ...deps, cacheStore: near.cacheStore };
      return withLease(leader, plan, ports, callsOf(leader, plan, isKept, ports), key);
    };
    // Of equal requests under way only the leader is looked up in the semantic cache: that costs an embedding.
    return isCoalesced(first) ? coalesced(first, plan, key, deps, lead) : lead(first);
  };

  const idempotencyKey = call.headers.get("idempotency-key");
  if (idempotencyKey === null) return fromCacheOrTargets(call);
  return oncePerKey(call, idempotencyKey, deps, fromCacheOrTargets);
}

/** What a lease is held for: the plan's targets, called for this request. */
function callsOf(
  call: Call,
  plan: Plan,
  isKept: boolean,
  deps: Deps,
): (admitted: BareCall) => Promise<Answered> {
  const open: OpenExchange = (provider, target) => openExchange(call, provider, target);
  return (admitted) => callTargets(openAttempts(admitted, plan, { open, isKept }, deps));
}
