/**
 * The plan of one request, with the span that explains it: what routing/plan.ts gets of the request and of what this
 * isolate has measured.
 */

import { promptTokens } from "../pricing/estimate/request-tokens.ts";
import type { ChatRequest } from "../schema/chat.ts";
import { GatewayError, toGatewayError } from "../errors.ts";
import type { BareCall, Call, Deps } from "./ports.ts";
import { planAtHolder, type PreviousResponse } from "./previous-response.ts";
import { readPromptSession } from "./prompt-cache/read-prompt.ts";
import { labelsOf } from "./request-options.ts";
import { costMicroUsd } from "../pricing/cost.ts";
import { latencyKey } from "../targets/targets.ts";
import type { StickySession } from "../targets/sessions.ts";
import type { RequestTraits } from "../routing/conditions.ts";
import { needsOf } from "../routing/needs.ts";
import type { Need } from "../tenants/records/route-conditions.ts";
import { type Plan, type PlanContext, planTargets } from "../routing/plan.ts";
import type { TenantBundle } from "../tenants/records/records.ts";
import { priceOfTarget } from "./target-price.ts";

/**
 * Plans by the isolate's copy of the records; where that refuses, once more by the newest ones, so that a route, a
 * provider or a permission that was just made works at once.
 */
export async function routeFresh<SomeCall extends BareCall>(
  call: SomeCall,
  deps: Deps,
  previous?: PreviousResponse,
): Promise<{ readonly call: SomeCall; readonly plan: Plan }> {
  try {
    return { call, plan: route(call, deps, previous) };
  } catch (thrown) {
    // Where the newest records can't be had, the refusal by the known ones stands.
    const bundle = await deps.reload().catch(() => undefined);
    if (!bundle || bundle.version <= call.bundle.version) throw thrown;
    const key = bundle.keys.find(({ id }) => id === call.key.id);
    if (!key) throw new GatewayError("invalid_api_key", "This gateway key was revoked.");
    const fresh = { ...call, bundle, key };
    return { call: fresh, plan: route(fresh, deps, previous) };
  }
}

function route(call: BareCall, deps: Deps, previous: PreviousResponse | undefined): Plan {
  const span = call.trace.root.child("gateway.route", { attributes: { "gateway.span.cpu_only": true } });
  try {
    const planned = planTargets(call.chat.model, planContext(call, deps));
    const plan = previous === undefined ? planned : planAtHolder(planned, previous, call, deps);
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

type Asking = Pick<BareCall, "bundle" | "key" | "options" | "chat"> & Partial<Pick<Call, "clientWire">>;

/** `isRehearsal`: for a dry run, which takes no turn and claims no trial. */
export function planContext(asking: Asking, deps: Deps, isRehearsal = false): PlanContext {
  const { bundle, key, options, chat } = asking;
  const { latency, roundRobin, sessions } = deps.targets;
  const now = deps.now();
  const keyOf = (label: string): string => latencyKey(label, chat.stream);
  return {
    bundle,
    key,
    traits: traitsOf(asking, now),
    priceOf: ({ accountName, model }) => expectedMicroUsd(bundle, accountName, model, chat, deps),
    latencyOf: ({ label }) => latency.of(bundle.id, keyOf(label), now),
    claimTrial: ({ label }) => !isRehearsal && latency.claimTrial(bundle.id, keyOf(label), now),
    circuitOf: ({ label }) => deps.targets.circuits.of(label, key.id, now),
    takeTurn: (branch, weights) =>
      roundRobin[isRehearsal ? "peek" : "next"](`${bundle.id} ${branch}`, weights),
    sessionTargetOf: (routeId, session) => sessions.of(`${bundle.id} ${routeId}`, session, now),
    promptSession: () => promptSessionOf(asking),
    ...(options.pin !== undefined && { pin: options.pin }),
    ...(options.session !== undefined && { session: options.session }),
  };
}

/** Undefined where the client sends neither a session nor a cache mark, and for what no vendor caches. */
function promptSessionOf({ chat, options }: Asking): StickySession | undefined {
  const found = chat.operation === "chat" ? readPromptSession(chat, options.session) : undefined;
  return found && { id: found.id, cache: { isLong: found.isLong } };
}

function traitsOf({ chat, clientWire, options, key }: Asking, at: number): RequestTraits {
  let needs: ReadonlySet<Need> | undefined;
  return {
    promptTokens: promptTokens(chat),
    metadata: labelsOf(key, options),
    keyMetadata: key.metadata ?? {},
    at,
    needs: () => (needs ??= readNeeds(chat, clientWire)),
  };
}

/** A request that can't be translated is forwarded as it is, and nothing is known of its needs. */
function readNeeds(chat: ChatRequest, clientWire: Call["clientWire"] | undefined): ReadonlySet<Need> {
  if (clientWire === undefined || "operation" in clientWire) return new Set();
  try {
    return needsOf(clientWire.toConversation(chat, () => {}));
  } catch {
    return new Set();
  }
}

/** The expected output where the client sets no limit: a long paragraph. It only orders targets. */
const EXPECTED_OUTPUT_TOKENS = 500;

/** Undefined for a model without a known price. */
export function expectedMicroUsd(
  bundle: TenantBundle,
  accountName: string,
  model: string,
  chat: ChatRequest,
  deps: Pick<Deps, "priceOf">,
): number | undefined {
  return costMicroUsd(priceOfTarget(bundle, { accountName, model }, deps), expectedUsage(chat));
}

export function expectedUsage(chat: ChatRequest): {
  readonly inputTokens: number;
  readonly outputTokens: number;
} {
  const inputTokens = promptTokens(chat);
  const { maxOutputTokens = EXPECTED_OUTPUT_TOKENS, choiceCount = 1 } = chat.params;
  const perChoice = chat.operation === "chat" ? Math.min(maxOutputTokens, EXPECTED_OUTPUT_TOKENS) : 0;
  return { inputTokens, outputTokens: perChoice * choiceCount };
}
