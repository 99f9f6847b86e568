import { describe, expect, it, test } from "vitest";
import { ledgersOf } from "../../../src/console/model/ledgers.ts";
import { factsOfStep, remarkOf, stepName } from "../../../src/console/model/remarks.ts";
import { firstChosen, isQuiet, isUnderFold, matchesFind } from "../../../src/console/model/rows.ts";
import { criticalPath, type RequestView, viewRequest } from "../../../src/console/model/steps.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
  semanticTrace,
} from "../../support/builders/sample-traces.ts";

const SAMPLES = {
  fallbackTrace,
  cacheHitTrace,
  refusedTrace,
  plainTrace,
  semanticHit: () => semanticTrace(true),
};

function view({ spans }: FinishedTrace): RequestView {
  const request = viewRequest(spans);
  if (request === undefined) throw new Error("a sample without spans");
  return request;
}

describe.each(Object.entries(SAMPLES))("the view of %s", (_, make) => {
  it("has each span as one row, and the root's parts add up to its length", async () => {
    const trace = await make();
    const request = view(trace);
    expect(request.steps).toHaveLength(trace.spans.length);
    const sum = request.root.segments.reduce((total, { from, to }) => total + to - from, 0);
    expect(sum).toBe(request.tookMs);
  });

  it("has a critical path that covers the request without a gap", async () => {
    const request = view(await make());
    const path = criticalPath(request.root).toSorted((a, b) => a.from - b.from);
    let at = 0;
    for (const { from, to } of path) {
      expect(from).toBe(at);
      at = to;
    }
    expect(at).toBe(request.tookMs);
  });

  it("has ledgers whose entries add up to their whole", async () => {
    const request = view(await make());
    const [time] = ledgersOf(request);
    expect(time?.entries.reduce((sum, { amount }) => sum + amount, 0)).toBe(request.tookMs);
  });
});

test("a request that waited, failed over and streamed: its parts in their order", async () => {
  const request = view(await fallbackTrace());
  expect(request.root.segments.map(({ part, from, to }) => `${part} ${to - from}`)).toMatchInlineSnapshot(`
    [
      "gateway 12",
      "queue 400",
      "gateway 1",
      "failed 309",
      "first_token 407",
      "answer 1158",
    ]
  `);
  expect(ledgersOf(request).map(({ title, total }) => `${title} ${total}`)).toEqual([
    "Time 2.29 s",
    "Tokens 630",
    "Money $0.0011",
  ]);
});

test("its steps have names, remarks and facts in plain words", async () => {
  const request = view(await fallbackTrace());
  const said = request.steps.map((step) => `${stepName(step)}: ${remarkOf(step)}`);
  expect(said).toContain("queue wait: 3rd in line · limit: requests at a time");
  expect(said.some((text) => text.startsWith("#1 openai/gpt-4o-mini: 429 rate limited by the vendor"))).toBe(
    true,
  );
  const answer = request.steps.findLast(({ attempt }) => attempt !== undefined);
  expect(answer && factsOfStep(answer, request).map(({ name }) => name)).toEqual(
    expect.arrayContaining(["Target", "Result", "First token", "Speed"]),
  );
});

test("what is chosen at first: a long wait, a failed attempt, the answer", async () => {
  const plain = view(await plainTrace());
  expect(stepName(firstChosen(plain))).toMatch(/^#1 /);
  const fallback = view(await fallbackTrace());
  expect(stepName(firstChosen(fallback))).toMatch(/^#1 /);
  expect(stepName(firstChosen(view(await cacheHitTrace())))).toBe("cache lookup");
});

test("steps without a length are quiet; attempts, hits and the root never are", async () => {
  const request = view(await cacheHitTrace());
  const quiet = request.steps.filter((step) => isQuiet(step, request)).map(stepName);
  expect(quiet).toContain("auth");
  expect(quiet).not.toContain("cache lookup");
  expect(isQuiet(request.root, request)).toBe(false);
});

test("a folded step hides all below it, and the search reads names and remarks", async () => {
  const request = view(await fallbackTrace());
  const folded = new Set([request.root.span.spanId]);
  expect(request.steps.filter((step) => !isUnderFold(step, folded))).toEqual([request.root]);
  expect(request.steps.filter((step) => matchesFind(step, " IN LINE")).map(stepName)).toEqual(["queue wait"]);
});
