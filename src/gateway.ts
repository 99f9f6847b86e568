/**
 * The pipeline: from a validated request to a whole answer or a stream. READ NEXT after worker.ts. Knows no HTTP
 * framework, no environment and no vendor; all it touches comes in by `Call` and `Deps`.
 */

import { admit } from "./pipeline/admission.ts";
import { firstSuccess } from "./pipeline/attempts.ts";
import { lookUp } from "./pipeline/cached.ts";
import { GatewayError, toGatewayError } from "./errors.ts";
import { concludeFailure } from "./pipeline/conclusion.ts";
import type { Call, Deps, Generation } from "./pipeline/ports.ts";
import { type Plan, planTargets } from "./routing/plan.ts";
import type { TenantBundle } from "./tenants/records.ts";

/** One generation. Throws a row of the error table; the trace and the facts are complete either way. */
export async function generate(asked: Call, deps: Deps): Promise<Generation> {
  const { call, plan } = await routeFresh(asked, deps);
  const cached = await lookUp(call, plan, deps);
  if (cached.hit) return cached.hit;
  const admission = await admit(call, deps);
  try {
    return await firstSuccess(call, plan, { admission, cacheKey: cached.key }, deps);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    concludeFailure(call, admission, error, deps);
    throw error;
  }
}

/**
 * Plans by the isolate's copy of the records; where that refuses, once more by the newest ones, so that a route, a
 * provider or a permission that was just made works at once.
 */
async function routeFresh(call: Call, deps: Deps): Promise<{ readonly call: Call; readonly plan: Plan }> {
  try {
    return { call, plan: route(call, deps) };
  } catch (thrown) {
    // Where the newest records can't be had, the refusal by the known ones stands.
    const bundle = await deps.reload().catch(() => undefined);
    if (!bundle || bundle.version <= call.bundle.version) throw thrown;
    const key = bundle.keys.find(({ id }) => id === call.key.id);
    if (!key) throw new GatewayError("invalid_api_key", "This gateway key was revoked.");
    const fresh = { ...call, bundle, key };
    return { call: fresh, plan: route(fresh, deps) };
  }
}

function route(call: Call, deps: Deps): Plan {
  const span = call.trace.root.child("gateway.route", { attributes: { "gateway.span.cpu_only": true } });
  const { bundle, key, options, chat } = call;
  try {
    const plan = planTargets(chat.model, {
      bundle,
      key,
      random: deps.random,
      priceOf: ({ provider, model }) => expectedCost(bundle, provider, model, deps),
      latencyOf: ({ label }) => deps.latency.of(bundle.id, label, deps.now()),
      ...(options.pin === undefined ? {} : { pin: options.pin }),
      ...(options.session === undefined ? {} : { session: options.session }),
    });
    call.facts.routeId = plan.routeId;
    span.set({
      "gateway.route.id": plan.routeId,
      "gateway.route.strategy": plan.strategy,
      "gateway.route.candidates": plan.targets.map(({ label }) => label),
      "gateway.route.chosen": plan.targets[0].label,
      "gateway.route.reason": plan.reason,
      "gateway.route.rejected": plan.rejected.length === 0 ? undefined : plan.rejected,
    });
    return plan;
  } catch (thrown) {
    span.set({ "gateway.decision": toGatewayError(thrown).code });
    throw thrown;
  } finally {
    span.end();
  }
}

/** Input and output weigh alike here: only the order of the targets comes of it. */
function expectedCost(bundle: TenantBundle, provider: string, model: string, deps: Deps): number | undefined {
  const kind = bundle.providers[provider]?.kind;
  const price = kind === undefined ? undefined : deps.priceOf(kind, model);
  return price === undefined ? undefined : price.input + price.output;
}
