/**
 * What the gateway would do with a request, without doing it: its plan with the reasons, its cache status, what it would cost.
 * Calls no target, takes no turn, reserves nothing.
 */

import { keyOf } from "../caching/cached.ts";
import { ageSeconds } from "../../cache/entry.ts";
import type { Call, Deps } from "../ports.ts";
import { expectedMicroUsd, expectedUsage, planContext } from "../routed.ts";
import { usd } from "../../pricing/cost.ts";
import { latencyKey } from "../../targets/targets.ts";
import type { CircuitState } from "../../targets/circuit-entry.ts";
import { type Plan, planTargets } from "../../routing/plan.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";

export type DryCall = Pick<Call, "chat" | "clientWire" | "bundle" | "key" | "options" | "cache" | "headers">;

export interface DryRun {
  readonly route: string;
  readonly strategy: Plan["strategy"];
  readonly reason: string;
  /** In the order in which they would be called. */
  readonly targets: readonly DryTarget[];
  readonly rejected: readonly string[];
  readonly retries: Plan["retries"];
  readonly timeouts: Plan["timeouts"];
  readonly hedge: Plan["hedge"] | null;
  readonly request: {
    readonly dialect: string;
    readonly stream: boolean;
    /** Estimates. */
    readonly inputTokens: number;
    readonly outputTokens: number;
    readonly needs: readonly string[];
  };
  readonly cache: {
    readonly mode: string;
    /** hit, miss, stale or error; bypass where there is no look-up. */
    readonly status: string;
    readonly reason: string | null;
    readonly ageSeconds: number | null;
    readonly coalesce: boolean;
    /** Whether a miss would be looked up in the semantic cache, which is not tried here: it costs an embedding. */
    readonly semantic: Plan["semantic"] | null;
  };
}

interface DryTarget {
  readonly target: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly circuit: CircuitState;
  /** As the isolate that answers has seen it; null where it has not, lately. */
  readonly latencyMs: number | null;
  /** Null for a model without a known price. */
  readonly expectedCostUsd: number | null;
}

/** Throws what planning throws. */
export async function dryRun(call: DryCall, deps: Deps): Promise<DryRun> {
  const context = planContext(call, deps, true);
  const plan = planTargets(call.chat.model, context);
  const { inputTokens, outputTokens } = expectedUsage(call.chat);
  return {
    route: plan.routeId,
    strategy: plan.strategy,
    reason: plan.reason,
    targets: plan.targets.map((target) => describe(target, call, deps)),
    rejected: plan.rejected,
    retries: plan.retries,
    timeouts: plan.timeouts,
    hedge: plan.hedge ?? null,
    request: {
      dialect: call.chat.wire.name,
      stream: call.chat.stream,
      inputTokens,
      outputTokens,
      needs: [...context.traits.needs()],
    },
    cache: await describeCache(call, plan, deps),
  };
}

function describe(
  { accountName, model, label, params = {} }: PlannedTarget,
  call: DryCall,
  deps: Deps,
): DryTarget {
  const { bundle, chat, key } = call;
  const latencyMs = deps.targets.latency.of(bundle.id, latencyKey(label, chat.stream), deps.now());
  const cost = expectedMicroUsd(bundle, accountName, model, chat, deps);
  return {
    target: label,
    params,
    circuit: deps.targets.circuits.of(label, key.id, deps.now()).state,
    latencyMs: latencyMs === undefined ? null : Math.round(latencyMs),
    expectedCostUsd: cost === undefined ? null : usd(cost),
  };
}

async function describeCache(call: DryCall, plan: Plan, deps: Deps): Promise<DryRun["cache"]> {
  const { mode, reason = null } = call.cache;
  const { coalesce } = call.bundle.tenant.cache;
  const semantic = plan.semantic ?? null;
  if (mode === "off" || mode === "refresh")
    return { mode, status: "bypass", reason, ageSeconds: null, coalesce, semantic };
  const found = await deps.cacheStore.get(await keyOf(call, plan));
  const age = found.status === "hit" || found.status === "stale" ? ageSeconds(found.entry, deps.now()) : null;
  return { mode, status: found.status, reason, ageSeconds: age, coalesce, semantic };
}
