import fc from "fast-check";
import { expect, test } from "vitest";
import { createQueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { createModel } from "./queue-model.ts";
import type { Step, World } from "./queue-steps.ts";
import { asAdmitted, askOf, limitsOf, START_AT } from "../../../support/builders/admission.ts";

/** Long runs: `HEADGATE_MODEL_RUNS=20000 npm test`. */
/** Only says that something hangs: these share two cores with all other tests. */
const LONG_MS = 180_000;
const RUNS = Number(process.env["HEADGATE_MODEL_RUNS"] ?? 1500);

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });

const limits = fc
  .record({
    requestsPerMinute: maybe(fc.constantFrom(6, 60, 70, 600, 3000)),
    burst: maybe(fc.integer({ min: 1, max: 6 })),
    tokensPerMinute: maybe(fc.constantFrom(600, 6000, 60_000)),
    concurrency: maybe(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 20, max: 60 }))),
    maxDepth: fc.integer({ min: 0, max: 8 }),
    budget: maybe(
      fc.record({
        microUsd: fc.constantFrom(500, 5000, 1_000_000),
        period: fc.constantFrom("day" as const, "week" as const, "month" as const),
        onExceeded: fc.constantFrom("reject" as const, "alert" as const),
      }),
    ),
  })
  .map((fields) => limitsOf(JSON.parse(JSON.stringify(fields))));

const world: fc.Arbitrary<World> = fc.record({ limits, keyLimits: limits });

const which = fc.nat(12);
const ms = fc.oneof(fc.nat(30), fc.nat(1500), fc.nat(3000), fc.nat(50_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("admit" as const),
      key: fc.constantFrom("small", "a", "b"),
      lane: fc.constantFrom("interactive" as const, "interactive" as const, "batch" as const),
      maxWaitMs: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(30_000)),
      tokens: fc.oneof(fc.nat(20), fc.nat(300)),
      cost: fc.oneof(fc.constant(0), fc.nat(40), fc.nat(600)),
      prefetchCount: fc.oneof(fc.constant(0), fc.nat(30)),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("settle" as const), which, tenths: fc.nat(20) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("start" as const, "give back" as const), which }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("repeat" as const, "cancel" as const, "renew" as const),
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("ride" as const), which, tenths: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "overtake" }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constantFrom("pass" as const, "pass" as const, "leap" as const), ms }),
  },
);
const crash: fc.Arbitrary<Step> = fc.constant({ do: "restart" });
const sleep: fc.Arbitrary<Step> = fc.record({ do: fc.constant("sleep" as const), ms: fc.nat(60_000) });

function run(given: World, steps: readonly Step[]): void {
  const model = createModel(given);
  for (const one of steps) model.take(one);
  model.finish();
}

test(
  "keeps its invariants over any admissions, settlements, cancellations, repeats and leaps of time",
  () => {
    expect.hasAssertions();
    fc.assert(fc.property(world, fc.array(step, { maxLength: 60, size: "max" }), run), { numRuns: RUNS });
  },
  LONG_MS,
);

test(
  "keeps them over crashes, with only what was admitted since the last checkpoint on top",
  () => {
    expect.hasAssertions();
    const steps = fc.array(fc.oneof({ weight: 8, arbitrary: step }, { weight: 1, arbitrary: crash }), {
      maxLength: 60,
      size: "max",
    });
    fc.assert(fc.property(world, steps, run), { numRuns: RUNS });
  },
  LONG_MS,
);

test(
  "keeps them over the sleep of an idle object, and takes no lease whose holder renews it",
  () => {
    expect.hasAssertions();
    const steps = fc.array(fc.oneof({ weight: 6, arbitrary: step }, { weight: 1, arbitrary: sleep }), {
      maxLength: 60,
      size: "max",
    });
    // A sleep takes far longer to play than another step.
    fc.assert(fc.property(world, steps, run), { numRuns: RUNS / 4 });
  },
  LONG_MS,
);

test("admits a refused request that retries after its Retry-After, if no other came", () => {
  expect.hasAssertions();
  const rate = fc.record({
    requestsPerMinute: fc.integer({ min: 1, max: 1000 }),
    burst: fc.integer({ min: 1, max: 5 }),
    maxDepth: fc.integer({ min: 0, max: 5 }),
  });
  fc.assert(
    fc.property(
      rate,
      fc.array(fc.nat(20_000), { maxLength: 20 }),
      fc.nat(20_000),
      (fields, waits, maxWaitMs) => {
        const admission = createQueueMachine(START_AT);
        let now = START_AT;
        for (const [n, waitMs] of waits.entries())
          admission.admit(askOf(`r${n}`, { limits: fields, maxWaitMs: waitMs }), START_AT);
        const first = admission.admit(askOf("last", { limits: fields, maxWaitMs }), START_AT);
        if (first?.kind !== "refused") return;
        const until = now + first.retryAfterMs;
        while (now < until) {
          now = Math.min(until, admission.nextWakeAt());
          admission.expire(now);
        }
        admission.takeWakeUps();
        const second = admission.admit(askOf("again", { limits: fields, maxWaitMs }), now);
        if (second !== undefined) expect(asAdmitted(second).goInMs).toBeLessThanOrEqual(maxWaitMs);
      },
    ),
    { numRuns: RUNS },
  );
});
