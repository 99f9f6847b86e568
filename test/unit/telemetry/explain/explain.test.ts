import { describe, expect, it, test } from "vitest";
import { durationText, placeText, usdText } from "../../../../src/console/model/words.ts";
import { explain } from "../../../../src/telemetry/explain/explain.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
} from "../../../support/builders/sample-traces.ts";

const FORMAT = { duration: durationText, usd: usdText, place: placeText };
const say = ({ spans }: FinishedTrace): string =>
  explain(spans, FORMAT)
    .map(({ text }) => text)
    .join("");

/** The same trace with other attributes on its root. */
function withRoot(
  trace: FinishedTrace,
  attributes: Readonly<Record<string, string>>,
  isError = false,
): FinishedTrace {
  const root = { ...trace.root, isError, attributes: { ...trace.root.attributes, ...attributes } };
  return { ...trace, root, spans: [root, ...trace.spans.slice(1)] };
}

describe("the sentence above a trace", () => {
  it("names the wait and the failed attempts, with their length", async () => {
    expect(say(await fallbackTrace())).toMatchInlineSnapshot(
      `"It waited 400 ms in the queue, 3rd in line, held by the limit of requests at a time, and lost 309 ms to failed attempts (openai/gpt-4o-mini rate limited by the vendor with 429) before anthropic/claude-haiku-4-5 answered."`,
    );
  });

  it("says what a hit saved", async () => {
    expect(say(await cacheHitTrace())).toMatchInlineSnapshot(
      `"Answered from the cache, 14 min old: saved 2.28 s and $0.0011."`,
    );
  });

  it("says which limit refused, and when it can succeed", async () => {
    expect(say(await refusedTrace())).toMatchInlineSnapshot(
      `"Refused, over a limit: the limit is 60 requests a minute. It can succeed in 12.0 s."`,
    );
  });

  it("calls nothing slow where nothing is known to be", async () => {
    expect(say(await plainTrace())).toMatchInlineSnapshot(
      `"openai/gpt-4o-mini answered at the first attempt, without a wait."`,
    );
  });

  it("says that the client left, or that the answer was another's", async () => {
    const plain = await plainTrace();
    expect(say(withRoot(plain, { "gateway.outcome": "client_disconnected" }))).toBe(
      "The client left before the end.",
    );
    expect(say(withRoot(plain, { "gateway.outcome": "coalesced" }))).toBe(
      "Shared the answer of an equal request that was under way.",
    );
  });

  it("says what failed in words, not in codes", async () => {
    const failed = withRoot(
      await plainTrace(),
      { "gateway.outcome": "upstream_error", "error.type": "upstream_overloaded" },
      true,
    );
    expect(say(failed)).toMatch(/overloaded/);
    expect(say(failed)).not.toContain("upstream_overloaded");
  });
});

test("a request without spans has no sentence", () => expect(explain([], FORMAT)).toEqual([]));
