/**
 * Who may be asked for a model, in which order, and why: from the tenant's records to a plan. Pure; the draw, the
 * prices and the latencies are passed in. What happens when a target fails is retry.ts.
 */

import { GatewayError } from "../errors.ts";
import {
  DEFAULT_RETRIES,
  DEFAULT_TIMEOUTS,
  type KeyRecord,
  type RouteRecord,
  type TargetRecord,
  type TenantBundle,
} from "../tenants/records.ts";

export interface PlannedTarget {
  /** The tenant's name of the account. */
  readonly provider: string;
  readonly model: string;
  /** `provider/model`, as headers and spans say it. */
  readonly label: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface Plan {
  /** The route's name, or the bare `provider/model`. */
  readonly routeId: string;
  readonly strategy: RouteRecord["strategy"] | "direct" | "pinned";
  /** In the order they are asked; never empty. */
  readonly targets: readonly [PlannedTarget, ...PlannedTarget[]];
  /** Why the first one comes first. */
  readonly reason: string;
  /** `target: why not` for each that was passed over. */
  readonly rejected: readonly string[];
  readonly retries: RouteRecord["retries"];
  readonly timeouts: RouteRecord["timeouts"];
}

export interface PlanContext {
  readonly bundle: TenantBundle;
  readonly key: Pick<KeyRecord, "allowedModels">;
  /** `x-headgate-target`. */
  readonly pin?: string;
  /** `x-headgate-session`: with `sticky` the same session draws the same target. */
  readonly session?: string;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Micro-USD of a typical call, undefined for an unknown price. */
  readonly priceOf: (target: PlannedTarget) => number | undefined;
  /** Smoothed time to the first byte in ms, undefined for a target not yet seen here. */
  readonly latencyOf: (target: PlannedTarget) => number | undefined;
}

/** Throws `model_not_found`, `permission_denied`, or `invalid_request` for a pin outside the route. */
export function planTargets(routeId: string, context: PlanContext): Plan {
  const { bundle, key } = context;
  if (!isModelAllowed(key.allowedModels, routeId)) {
    throw new GatewayError("permission_denied", `This key may not use the model '${routeId}'.`, {
      param: "model",
    });
  }
  const route = Object.hasOwn(bundle.routes, routeId) ? bundle.routes[routeId] : undefined;
  return route ? planRoute(routeId, route, context) : planDirect(routeId, context);
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
    reason: "named by the client",
    rejected: [],
    retries: DEFAULT_RETRIES,
    timeouts: DEFAULT_TIMEOUTS,
  };
}

function planRoute(routeId: string, route: RouteRecord, context: PlanContext): Plan {
  const known = route.targets.filter(({ provider }) => Object.hasOwn(context.bundle.providers, provider));
  const missing = route.targets
    .filter((target) => !known.includes(target))
    .map((target) => `${toTarget(target).label}: no provider '${target.provider}'`);
  const rules = { retries: route.retries, timeouts: route.timeouts };

  if (context.pin !== undefined) {
    const pinned = known.map(toTarget).find(({ label }) => label === context.pin);
    if (!pinned) throw pinOutside(context.pin, routeId);
    const rejected = known.map(toTarget).filter(({ label }) => label !== pinned.label);
    return {
      routeId,
      strategy: "pinned",
      targets: [pinned],
      reason: "pinned by x-headgate-target",
      rejected: [...rejected.map(({ label }) => `${label}: another target is pinned`), ...missing],
      ...rules,
    };
  }

  const { ordered, reason, against } = order(route, known, context);
  const [first, ...rest] = ordered;
  if (!first) {
    throw new GatewayError(
      "model_not_found",
      `The route '${routeId}' has no target that exists: ${missing.join("; ")}.`,
      {
        param: "model",
      },
    );
  }
  return {
    routeId,
    strategy: route.strategy,
    targets: [first, ...rest],
    reason,
    rejected: [...rest.map((target) => `${target.label}: ${against(target)}`), ...missing],
    ...rules,
  };
}

interface Ordering {
  readonly ordered: readonly PlannedTarget[];
  readonly reason: string;
  readonly against: (target: PlannedTarget) => string;
}

function order(route: RouteRecord, targets: readonly TargetRecord[], context: PlanContext): Ordering {
  switch (route.strategy) {
    case "fallback":
      return {
        ordered: targets.map(toTarget),
        reason: "first in the route's order",
        against: () => "later in the order",
      };
    case "weighted":
      return drawByWeight(targets, route.sticky === "session" ? context.session : undefined, context.random);
    case "least-cost":
      return sortBy(targets.map(toTarget), context.priceOf, Infinity, "price");
    case "least-latency":
      // An unseen target counts as fastest, so that each is tried once before latencies decide.
      return sortBy(targets.map(toTarget), context.latencyOf, 0, "latency");
  }
}

function drawByWeight(
  targets: readonly TargetRecord[],
  session: string | undefined,
  random: () => number,
): Ordering {
  const weightOf = (target: TargetRecord): number => target.weight ?? 1;
  const total = targets.reduce((sum, target) => sum + weightOf(target), 0);
  let left = (session === undefined ? random() : unitHash(session)) * total;
  // Fractions may leave a little over: then it is the last one's that has a weight at all.
  const drawn =
    targets.find((target) => (left -= weightOf(target)) < 0) ??
    targets.findLast((target) => weightOf(target) > 0) ??
    targets[0];
  const others = targets.filter((target) => target !== drawn);
  others.sort((a, b) => weightOf(b) - weightOf(a));
  const how = session === undefined ? "drawn" : "drawn for the session";
  return {
    ordered: (drawn ? [drawn, ...others] : others).map(toTarget),
    reason: `${how} with weight ${drawn ? weightOf(drawn) : 0} of ${total}`,
    against: () => "not drawn",
  };
}

function sortBy(
  targets: readonly PlannedTarget[],
  measure: (target: PlannedTarget) => number | undefined,
  unknown: number,
  noun: string,
): Ordering {
  const valueOf = new Map(targets.map((target) => [target, measure(target)]));
  const rank = (target: PlannedTarget): number => valueOf.get(target) ?? unknown;
  const say = (target: PlannedTarget): string => valueOf.get(target)?.toFixed(0) ?? "unknown";
  const ordered = targets.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  const [first] = ordered;
  return {
    ordered,
    reason: `lowest ${noun} (${first ? say(first) : "none"})`,
    against: (target) => `${noun} ${say(target)}`,
  };
}

function toTarget({ provider, model, params }: TargetRecord): PlannedTarget {
  return { provider, model, label: `${provider}/${model}`, ...(params === undefined ? {} : { params }) };
}

function pinOutside(pin: string, model: string): GatewayError {
  return new GatewayError("invalid_request", `x-headgate-target: '${pin}' is not a target of '${model}'.`, {
    param: "x-headgate-target",
  });
}

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** MurmurHash3's 32-bit finalizer: each bit of the hash changes each other one as often as not. */
const MIX_1 = 0x85ebca6b;
const MIX_2 = 0xc2b2ae35;

/**
 * FNV-1a of a string as a number in [0, 1): a draw that is the same each time, not a secret. Mixed at the end, or ids
 * that differ in their last character would lie side by side.
 */
function unitHash(text: string): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), MIX_1);
  hash = Math.imul(hash ^ (hash >>> 13), MIX_2);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** What of a plan can change an answer, as one string whatever the draw was: part of the cache key. */
export function planVersion(plan: Plan): string {
  return JSON.stringify(
    plan.targets.map(({ label, params }) => JSON.stringify([label, params ?? null])).toSorted(),
  );
}
