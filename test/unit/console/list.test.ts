import fc from "fast-check";
import { expect, test } from "vitest";
import { parseFilter, writeFilter } from "../../../src/console/model/filter.ts";
import { reasonOf, type RowFacts, scaleOf, stripOf } from "../../../src/console/model/list-row.ts";

const OK: RowFacts = { durationMs: 2000, status: 200, outcome: "ok", queueMs: 0, ttfbMs: 400, attempts: 1 };

test("a row's strip adds up to its length, whatever the summary says", () => {
  const facts = fc.record({
    durationMs: fc.nat(60_000),
    status: fc.constantFrom(200, 429, 502, null),
    outcome: fc.constantFrom("ok", "cache_hit", "rejected", "upstream_error", null),
    queueMs: fc.option(fc.nat(70_000)),
    ttfbMs: fc.option(fc.nat(70_000)),
    attempts: fc.option(fc.nat(5)),
  });
  fc.assert(
    fc.property(facts, (row) => {
      expect(stripOf(row).reduce((sum, { from, to }) => sum + to - from, 0)).toBe(row.durationMs);
    }),
  );
});

test("a row's strip has the queue, the first byte and the answer, or the failure", () => {
  const parts = (row: RowFacts): readonly string[] => stripOf(row).map(({ part }) => part);
  expect(parts({ ...OK, queueMs: 300 })).toEqual(["queue", "first_token", "answer"]);
  expect(parts({ ...OK, ttfbMs: 1990 })).toEqual(["answer"]);
  expect(parts({ ...OK, outcome: "cache_hit" })).toEqual(["cache"]);
  expect(parts({ ...OK, status: 502, outcome: "upstream_error", ttfbMs: null })).toEqual(["failed"]);
  expect(parts({ ...OK, attempts: null, status: 429, outcome: "rejected" })).toEqual(["gateway"]);
});

test("a reason is given only where something is remarkable", () => {
  expect(reasonOf(OK)).toBeUndefined();
  expect(reasonOf({ ...OK, queueMs: 3870, attempts: 2 })).toBe("waited 3.87 s in the queue; 2 attempts");
  expect(reasonOf({ ...OK, outcome: "rejected", status: 429 }, "queue_full")).toBe(
    "refused; the queue is full",
  );
});

test("all rows share a scale that ends at or just after the longest", () => {
  expect(scaleOf([{ durationMs: 9110 }, { durationMs: 201 }])).toBe(9200);
  expect(scaleOf([])).toBe(1);
});

test("a typed filter becomes the list's parameters, and the parameters the same text", () => {
  const { params, unknown } = parseFilter(
    "status=429 model=openai/gpt-4o >2s <500ms metadata.feature=search req_1 nope=x",
  );
  expect(params).toEqual({
    status: "429",
    model: "openai/gpt-4o",
    min_ms: "2000",
    max_ms: "500",
    "metadata.feature": "search",
    q: "req_1",
  });
  expect(unknown).toEqual(["nope=x"]);
  const written = writeFilter(new URLSearchParams({ tenant: "acme", ...params }));
  expect(parseFilter(written)).toEqual({ params, unknown: [] });
});
