/**
 * The order in which a route's targets are called: one function for each strategy. Pure but for the turns and trials that
 * it takes through `OrderContext`.
 */

import type { RouteRecord } from "../tenants/records/route-record.ts";
import { drawFor, pickByWeight } from "./hash-pick.ts";
import type { PlannedTarget } from "./planned-target.ts";

export interface OrderContext {
  /** With `sticky` the same session comes first to the same target; undefined where the route or the client wants none. */
  readonly session: string | undefined;
  /** Label of the target that the session was last answered by. */
  readonly sessionTarget: string | undefined;
  /** Index of the weight whose turn it is; -1 where all are zero. */
  readonly takeTurn: (weights: readonly number[]) => number;
  /** Expected micro-USD of this request, undefined for an unknown price. */
  readonly priceOf: (target: PlannedTarget) => number | undefined;
  /** Smoothed time to the first token in ms, undefined for a target not seen lately. */
  readonly latencyOf: (target: PlannedTarget) => number | undefined;
  /** Whether this request shall try out a target not seen lately. */
  readonly claimTrial: (target: PlannedTarget) => boolean;
}

export interface Ordering {
  readonly ordered: readonly PlannedTarget[];
  /** Why the first comes first. */
  readonly reason: string;
  readonly against: (target: PlannedTarget) => string;
}

/** `targets` in the route's order; those for which `isOut` holds stay out of the order. */
export function order(
  strategy: RouteRecord["strategy"],
  targets: readonly PlannedTarget[],
  isOut: (target: PlannedTarget) => boolean,
  context: OrderContext,
): Ordering {
  const open = targets.filter((target) => !isOut(target));
  if (strategy === "weighted") return byWeight(targets, open, context);
  const made = byStrategy(strategy, open, context);
  const own = made.ordered.find(({ label }) => label === context.sessionTarget);
  if (own === undefined || own === made.ordered[0]) return made;
  return {
    ordered: [own, ...made.ordered.filter((target) => target !== own)],
    reason: "the session's target",
    against: made.against,
  };
}

function byStrategy(
  strategy: Exclude<RouteRecord["strategy"], "weighted">,
  targets: readonly PlannedTarget[],
  context: OrderContext,
): Ordering {
  switch (strategy) {
    case "fallback":
      return {
        ordered: targets,
        reason: "first in the route's order",
        against: () => "later in the order",
      };
    case "least-cost":
      return sortBy(targets, context.priceOf, "expected cost", formatUsd);
    case "least-latency":
      return byLatency(targets, context);
  }
}

/** All targets keep their places in the weights, so that one that is out for a while doesn't upset the others' turns. */
function byWeight(
  targets: readonly PlannedTarget[],
  open: readonly PlannedTarget[],
  context: OrderContext,
): Ordering {
  const weights = targets.map((target) => (open.includes(target) ? target.weight : 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const { session } = context;
  const index = session === undefined ? context.takeTurn(weights) : pickByWeight(weights, drawFor(session));
  const chosen = targets[index] ?? open[0];
  const others = open.filter((target) => target !== chosen).toSorted((a, b) => b.weight - a.weight);
  const how = session === undefined ? "its turn" : "drawn for the session";
  return {
    ordered: chosen ? [chosen, ...others] : others,
    reason: `${how} by weight ${chosen?.weight ?? 0} of ${total}`,
    against: () => "not its turn",
  };
}

/** A target not seen lately is tried by one request; all others go by what was measured. */
function byLatency(targets: readonly PlannedTarget[], context: OrderContext): Ordering {
  const made = sortBy(targets, context.latencyOf, "latency", formatMs);
  const unseen =
    targets.length > 1 ? targets.find((target) => context.latencyOf(target) === undefined) : undefined;
  if (unseen === undefined || !context.claimTrial(unseen)) return made;
  return {
    ordered: [unseen, ...made.ordered.filter((target) => target !== unseen)],
    reason: "not measured lately",
    against: made.against,
  };
}

/** Lowest first; what can't be measured comes last, in the route's order. */
function sortBy(
  targets: readonly PlannedTarget[],
  measure: (target: PlannedTarget) => number | undefined,
  noun: string,
  format: (value: number) => string,
): Ordering {
  const values = new Map(targets.map((target) => [target, measure(target)]));
  const rank = (target: PlannedTarget): number => values.get(target) ?? Infinity;
  const say = (target: PlannedTarget): string => {
    const value = values.get(target);
    return value === undefined ? "unknown" : format(value);
  };
  const ordered = targets.toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
  const [first] = ordered;
  return {
    ordered,
    reason: `lowest ${noun} (${first ? say(first) : "none"})`,
    against: (target) => `${noun} ${say(target)}`,
  };
}

const MICRO_USD_PER_USD = 1_000_000;
/** A request may cost a few micro-dollars. */
const USD_DIGITS = 6;

function formatUsd(microUsd: number): string {
  return `$${(microUsd / MICRO_USD_PER_USD).toFixed(USD_DIGITS)}`;
}

function formatMs(ms: number): string {
  return `${Math.round(ms)} ms`;
}
