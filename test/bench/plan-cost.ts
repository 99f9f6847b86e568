// What a choice of target costs, by strategy: plans of four targets in a loop, in Node.
import { createLatencyStats } from "../../src/targets/latency.ts";
import { CLOSED } from "../../src/targets/circuit.ts";
import { planTargets, type PlanContext } from "../../src/routing/plan.ts";
import { createWeightedRoundRobin } from "../../src/targets/weighted-round-robin.ts";
import { fakeBundle } from "../support/fakes/fake-tenant.ts";
import { median } from "./reports/statistics.ts";

const STRATEGIES = ["fallback", "weighted", "least-latency", "least-cost"] as const;
type Strategy = (typeof STRATEGIES)[number];

const PLANS = 50_000;
const REPEATS = 7;

/** Microseconds a plan takes, by strategy. */
export function planCosts(): ReadonlyMap<string, number> {
  const contexts = new Map(STRATEGIES.map((strategy) => [strategy, contextOf(strategy)]));
  const times = new Map<Strategy, number[]>(STRATEGIES.map((strategy) => [strategy, []]));
  for (let repeat = 0; repeat <= REPEATS; repeat += 1) {
    for (const [strategy, context] of contexts) {
      const startedAt = performance.now();
      for (let at = 0; at < PLANS; at += 1) planTargets("r", context);
      if (repeat > 0) times.get(strategy)?.push(((performance.now() - startedAt) * 1000) / PLANS);
    }
  }
  return new Map(STRATEGIES.map((strategy) => [strategy, median(times.get(strategy) ?? [])]));
}

function contextOf(strategy: Strategy): PlanContext {
  const book = createLatencyStats();
  const { next: takeTurn } = createWeightedRoundRobin(() => 0);
  const models = ["m1", "m2", "m3", "m4"].map((model, at) => ({ provider: "a", model, weight: at + 1 }));
  for (const [at, { model }] of models.entries()) book.note("acme", `a/${model}`, 100 + at, 0);
  return {
    bundle: fakeBundle({ routes: { r: { strategy, targets: models } } }),
    key: {},
    traits: { promptTokens: 10, metadata: {}, keyMetadata: {}, at: 0, needs: () => new Set() },
    priceOf: ({ weight }) => weight,
    latencyOf: ({ label }) => book.of("acme", label, 0),
    claimTrial: () => false,
    circuitOf: () => CLOSED,
    takeTurn,
    sessionTargetOf: () => undefined,
  };
}
