import { describe, expect, test } from "vitest";
import { createRetryBudget } from "../../../src/targets/retry-budget.ts";

const NOW = 1_700_000_000_000;

describe("the retry budget", () => {
  test("has a floor of ten retries in ten seconds, however few requests there were", () => {
    const budget = createRetryBudget();
    budget.noteRequest("acme", NOW);
    const taken = Array.from({ length: 15 }, () => budget.take("acme", NOW)).filter(Boolean);
    expect(taken).toHaveLength(10);
  });

  test("is a fifth of the requests above that", () => {
    const budget = createRetryBudget();
    let retries = 0;
    for (let at = 0; at < 1000; at += 1) {
      const now = NOW + at * 5;
      budget.noteRequest("acme", now);
      // Everything fails, and each request would be tried three times.
      for (let more = 0; more < 2; more += 1) if (budget.take("acme", now)) retries += 1;
    }
    expect(retries).toBe(200);
  });

  test("comes back as the window of ten seconds moves on", () => {
    const budget = createRetryBudget();
    while (budget.take("acme", NOW));
    expect(budget.take("acme", NOW + 9_000)).toBe(false);
    expect(budget.take("acme", NOW + 10_000)).toBe(true);
  });

  test("is each tenant's own", () => {
    const budget = createRetryBudget();
    while (budget.take("acme", NOW));
    expect(budget.take("other", NOW)).toBe(true);
  });
});
