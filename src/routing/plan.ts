/**
 * Which targets may be called for a model, in which order, and why: from the tenant's records to a plan. Pure; what is known
 * of the targets, prices and random draws are passed in. What happens when a target fails is retry.ts.
 */

import { GatewayError } from "../errors.ts";
import { findNameFault } from "../runtime/safe-names.ts";
import {
  DEFAULT_RETRIES,
  DEFAULT_TIMEOUTS,
  type RouteRecord,
  type SemanticSettings,
  type TargetRecord,
} from "../tenants/records/route-record.ts";
import type { KeyRecord, ProviderRecord, TenantBundle } from "../tenants/records/records.ts";
import type { CircuitStatus } from "../targets/circuit-entry.ts";
import type { StickySession } from "../targets/sessions.ts";
import { chooseBranch, type RequestTraits } from "./conditions.ts";
import { order, type OrderContext } from "./order.ts";
import { type PlannedTarget, toTarget } from "./planned-target.ts";

export interface Plan {
  /** The route's name, or the bare `provider/model`. */
  readonly routeId: string;
  readonly strategy: RouteRecord["strategy"] | "direct" | "pinned";
  /** In the order they are called; never empty. */
  readonly targets: readonly [PlannedTarget, ...PlannedTarget[]];
  /** All that may answer, whatever their state and order: what a cached answer depends on. */
  readonly candidates: readonly PlannedTarget[];
  /** Why the first one comes first. */
  readonly reason: string;
  /** `target: why not` for each that is not called first. */
  readonly rejected: readonly string[];
  readonly retries: RouteRecord["retries"];
  readonly timeouts: RouteRecord["timeouts"];
  /** The second target is called too when the first hasn't begun its answer by then. */
  readonly hedge?: { readonly afterMs: number };
  /** Whose later requests prefer the target that answers this one; absent for no one's. */
  readonly session?: StickySession;
  /** Settings of the semantic cache, where the route has one. */
  readonly semantic?: SemanticSettings;
}

export interface PlanContext extends Pick<OrderContext, "priceOf" | "latencyOf" | "claimTrial"> {
  readonly bundle: TenantBundle;
  readonly key: Pick<KeyRecord, "allowedModels">;
  /** `x-headgate-target`. */
  readonly pin?: string;
  /** `x-headgate-session`. */
  readonly session?: string;
  /** Which requests share a vendor's prompt cache with this one; gives undefined where the client says nothing of it. */
  readonly promptSession?: () => StickySession | undefined;
  readonly traits: RequestTraits;
  readonly circuitOf: (target: PlannedTarget) => CircuitStatus;
  /** Whose turn it is on a weighted route, or on one branch of it. */
  readonly takeTurn: (branch: string, weights: readonly number[]) => number;
  readonly sessionTargetOf: (routeId: string, session: string) => string | undefined;
}

/** Throws `model_not_found`, `permission_denied`, or `invalid_request` for an unsafe name or a pin outside the route. */
export function planTargets(routeId: string, context: PlanContext): Plan {
  const { bundle, key } = context;
  const fault = findNameFault(routeId);
  if (fault !== undefined) throw new GatewayError("invalid_request", `model: ${fault}.`, { param: "model" });
  if (!isModelAllowed(key.allowedModels, routeId)) {
    throw new GatewayError("permission_denied", `This key may not use the model '${routeId}'.`, {
      param: "model",
    });
  }
  const route = Object.hasOwn(bundle.routes, routeId) ? bundle.routes[routeId] : undefined;
  return route ? planRoute(routeId, route, context) : planDirect(routeId, context);
}

/** A plan for a request without a route: one target, called once. `reason` says why. */
export function singleTargetPlan(target: PlannedTarget, timeouts: Plan["timeouts"], reason: string): Plan {
  return {
    routeId: target.label,
    strategy: "direct",
    targets: [target],
    candidates: [target],
    reason,
    rejected: [],
    retries: { ...DEFAULT_RETRIES, maxAttempts: 1 },
    timeouts,
  };
}

/** Whether a key's `allowedModels` (names, or `prefix*`) lets a model through; absent means all. */
export function isModelAllowed(allowed: readonly string[] | undefined, model: string): boolean {
  if (allowed === undefined) return true;
  return allowed.some((pattern) =>
    pattern.endsWith("*") ? model.startsWith(pattern.slice(0, -1)) : pattern === model,
  );
}

function planDirect(model: string, { bundle, pin }: PlanContext): Plan {
  const slash = model.indexOf("/");
  const provider = model.slice(0, Math.max(slash, 0));
  const isProviderKnown = Object.hasOwn(bundle.providers, provider);
  if (slash <= 0 || slash === model.length - 1 || !isProviderKnown) {
    const hint =
      slash > 0 && !isProviderKnown
        ? `no provider '${provider}'`
        : "no route of that name; 'provider/model' works too";
    throw new GatewayError("model_not_found", `The model '${model}' does not exist: ${hint}.`, {
      param: "model",
    });
  }
  const target = toTarget({ provider, model: model.slice(slash + 1) });
  if (pin !== undefined && pin !== target.label) throw pinOutside(pin, model);
  return {
    routeId: model,
    strategy: "direct",
    targets: [target],
    candidates: [target],
    reason: "named by the client",
    rejected: [],
    retries: DEFAULT_RETRIES,
    timeouts: DEFAULT_TIMEOUTS,
  };
}

function planRoute(routeId: string, route: RouteRecord, context: PlanContext): Plan {
  const { pin, bundle } = context;
  const hasProvider = ({ provider }: TargetRecord): boolean => Object.hasOwn(bundle.providers, provider);
  const branch = chooseBranch(route, context.traits);
  const session = stickySession(route, branch, context);
  const semantic = route.cache?.semantic;
  const rules = {
    retries: route.retries,
    timeouts: route.timeouts,
    ...(session !== undefined && { session }),
    ...(semantic !== undefined && { semantic }),
  };

  if (pin !== undefined) {
    const all = [route, ...(route.when ?? [])]
      .flatMap(({ targets }) => targets)
      .filter(hasProvider)
      .map(toTarget);
    const pinned = all.find(({ label }) => label === pin);
    if (!pinned) throw pinOutside(pin, routeId);
    const others = new Set(all.map(({ label }) => label).filter((label) => label !== pin));
    return {
      routeId,
      strategy: "pinned",
      targets: [pinned],
      candidates: [pinned],
      reason: "pinned by x-headgate-target",
      rejected: [...others].map((label) => `${label}: another target is pinned`),
      ...rules,
    };
  }

  const known = branch.targets.filter(hasProvider).map(toTarget);
  const missing = branch.targets
    .filter((target) => !hasProvider(target))
    .map((target) => `${toTarget(target).label}: no provider '${target.provider}'`);
  const { targets, reason, rejected } = orderHealthy(routeId, branch, known, session?.id, context);
  const [first, ...rest] = targets;
  if (!first) {
    throw new GatewayError(
      "model_not_found",
      `The route '${routeId}' has no target that exists: ${missing.join("; ")}.`,
      { param: "model" },
    );
  }
  return {
    routeId,
    strategy: branch.strategy,
    targets: [first, ...rest],
    candidates: known,
    reason: branch.because === undefined ? reason : `${reason}; ${branch.because}`,
    rejected: [...rejected, ...missing],
    ...rules,
    ...(route.hedge !== undefined && { hedge: route.hedge }),
  };
}

/** By the route's record; where that says nothing, by the vendor's prompt cache, if the strategy would choose again. */
function stickySession(
  { sticky }: RouteRecord,
  { strategy, targets }: Pick<RouteRecord, "strategy" | "targets">,
  { session, promptSession }: PlanContext,
): StickySession | undefined {
  if (sticky === "session") return session === undefined ? undefined : { id: session };
  // A fallback route's order is the operator's will.
  const isChosen = sticky === undefined && strategy !== "fallback" && targets.length > 1;
  return isChosen ? promptSession?.() : undefined;
}

const MS_PER_SECOND = 1000;

/** Leaves out targets with an open circuit; where all are open, all stay: the cache may still answer. */
function orderHealthy(
  routeId: string,
  { strategy, because = "" }: ReturnType<typeof chooseBranch>,
  known: readonly PlannedTarget[],
  session: string | undefined,
  context: PlanContext,
): {
  readonly targets: readonly PlannedTarget[];
  readonly reason: string;
  readonly rejected: readonly string[];
} {
  const broken = new Map<PlannedTarget, string>();
  for (const target of known) {
    const circuit = context.circuitOf(target);
    if (circuit.retryInMs > 0) broken.set(target, `${target.label}: ${describeOpenCircuit(circuit)}`);
  }
  const isAllBroken = broken.size === known.length;
  const { ordered, reason, against } = order(
    strategy,
    known,
    (target) => !isAllBroken && broken.has(target),
    {
      session,
      sessionTarget: session === undefined ? undefined : context.sessionTargetOf(routeId, session),
      takeTurn: (weights) => context.takeTurn(`${routeId} ${because.split(":", 1)[0] ?? ""}`, weights),
      priceOf: context.priceOf,
      latencyOf: context.latencyOf,
      claimTrial: context.claimTrial,
    },
  );
  const [, ...rest] = ordered;
  const passedOver = rest.filter((target) => !broken.has(target));
  const [first] = ordered;
  const isProbe = first !== undefined && context.circuitOf(first).state === "half_open" && !isAllBroken;
  return {
    targets: ordered,
    reason: isProbe ? `${reason}; its circuit is half-open` : reason,
    rejected: [...passedOver.map((target) => `${target.label}: ${against(target)}`), ...broken.values()],
  };
}

/** Why a target is not called: since when, until when, and whose call opened its circuit. */
function describeOpenCircuit({ state, retryInMs, openForMs = 0, foundBy }: CircuitStatus): string {
  if (state === "half_open") return "circuit half-open, another request probes it";
  const since = `${Math.round(openForMs / MS_PER_SECOND)} s`;
  const found = foundBy === undefined ? "" : `, found by trace ${foundBy.traceId}`;
  return `circuit open for ${since}, asked again in ${Math.ceil(retryInMs / MS_PER_SECOND)} s${found}`;
}

function pinOutside(pin: string, model: string): GatewayError {
  return new GatewayError("invalid_request", `x-headgate-target: '${pin}' is not a target of '${model}'.`, {
    param: "x-headgate-target",
  });
}

/**
 * Everything of a plan that can change an answer, as one string that no draw changes: part of the cache key. An account
 * that was written again, under the same name, may be another service.
 */
export function planVersion(
  { candidates }: Pick<Plan, "candidates">,
  providers: TenantBundle["providers"],
): string {
  return JSON.stringify(
    candidates
      .map(({ accountName, label, params }) =>
        JSON.stringify([label, params ?? null, accountVersion(providers[accountName])]),
      )
      .toSorted(),
  );
}

/** By record: an isolate has the same few for many requests. */
const accountVersions = new WeakMap<ProviderRecord, string>();

/** What of an account decides who answers. A sealed text changes with each credential, and tells nothing about it. */
function accountVersion(record: ProviderRecord | undefined): string {
  if (record === undefined) return "";
  const known = accountVersions.get(record);
  if (known !== undefined) return known;
  const { kind, baseUrl, apiKey, headers, options } = record;
  const version = JSON.stringify([kind, baseUrl, apiKey?.sealed, headers, options]);
  accountVersions.set(record, version);
  return version;
}
