import { describe, expect, test } from "vitest";
import type { SpanAttributes } from "../../../../src/telemetry/trace/attributes.ts";
import { shouldKeep, type SamplingPolicy } from "../../../../src/telemetry/trace/sampling.ts";
import { summarize } from "../../../../src/telemetry/trace/summary.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
} from "../../../support/builders/sample-traces.ts";

const KEEP_NONE: SamplingPolicy = { sampleRatio: 0, alwaysKeep: [], slowMs: 10_000 };

async function traceWith(attributes: SpanAttributes, fault?: string): Promise<FinishedTrace> {
  const setup = startTrace({ attributes });
  if (fault !== undefined) setup.trace.root.fail(fault);
  return setup.finish();
}

describe("sampling at the end of a request", () => {
  test.each<[SamplingPolicy["alwaysKeep"][number], () => Promise<FinishedTrace>]>([
    ["error", refusedTrace],
    ["error", () => traceWith({ "http.response.status_code": 502 })],
    ["error", () => traceWith({ "http.response.status_code": 200 }, "upstream_error")],
    ["slow", () => plainTrace(10_000)],
    ["queued", fallbackTrace],
    ["fallback", fallbackTrace],
  ])("always keeps: %s", async (rule, make) => {
    const trace = await make();
    expect(shouldKeep(trace, { ...KEEP_NONE, alwaysKeep: [rule] })).toBe(true);
    expect(shouldKeep(trace, KEEP_NONE)).toBe(false);
  });

  test("a quick answer from the first target falls under the ratio", async () => {
    const all = { ...KEEP_NONE, alwaysKeep: ["error", "slow", "queued", "fallback"] } as const;
    expect(shouldKeep(await plainTrace(), all)).toBe(false);
    expect(shouldKeep(await plainTrace(), { ...all, sampleRatio: 1 })).toBe(true);
  });

  test("a client that left is not an error", async () => {
    const gone = await traceWith({
      "gateway.outcome": "client_disconnected",
      "http.response.status_code": 499,
    });
    expect(shouldKeep(gone, { ...KEEP_NONE, alwaysKeep: ["error"] })).toBe(false);
  });

  test("the ratio decides by the trace id's random end, the same for each request of a trace", async () => {
    const traceparent = (end: string) => `00-${"f".repeat(18)}${end}${"0".repeat(13)}-00f067aa0ba902b7-01`;
    const half = { ...KEEP_NONE, sampleRatio: 0.5 };
    const withDigit = (digit: string) => {
      const setup = startTrace({
        traceparent: traceparent("f").replace(/0{13}-00f0/, `${digit}${"0".repeat(12)}-00f0`),
      });
      setup.trace.setTenant("acme");
      return setup.finish();
    };
    expect(shouldKeep(await withDigit("7"), half)).toBe(true);
    expect(shouldKeep(await withDigit("8"), half)).toBe(false);
    expect(shouldKeep(await withDigit("0"), KEEP_NONE)).toBe(false);
  });

  test("a ratio of a tenth keeps about a tenth", async () => {
    const tenth = { ...KEEP_NONE, sampleRatio: 0.1 };
    const trace = await plainTrace();
    let kept = 0;
    // A fixed walk over the range instead of chance.
    for (let i = 0; i < 1000; i++) {
      const end = Math.floor(((i + 0.5) / 1000) * 16 ** 13)
        .toString(16)
        .padStart(13, "0");
      if (shouldKeep({ ...trace, traceId: `${"a".repeat(19)}${end}` }, tenth)) kept++;
    }
    expect(kept).toBe(100);
  });
});

describe("the summary of a trace", () => {
  test("says in one line what a list of requests shows", async () => {
    const trace = await fallbackTrace();
    expect(summarize(trace)).toEqual({
      traceId: trace.traceId,
      requestId: "req_7Fq2",
      startedAt: NOON,
      durationMs: 2287,
      tenant: "acme",
      keyId: "key_9f2c",
      route: "chat-fast",
      model: "claude-haiku-4-5",
      provider: "anthropic",
      status: 200,
      isError: false,
      outcome: "ok",
      ttfbMs: 1129,
      queueMs: 400,
      attempts: 2,
      cache: "miss",
      inputTokens: 512,
      outputTokens: 118,
      costUsd: 0.001102,
      costBasis: null,
      session: null,
      endUser: null,
      isData: true,
    });
  });

  test("of a hit and of a refusal names the model the client asked for", async () => {
    expect(summarize(await cacheHitTrace())).toMatchObject({
      model: "chat-fast",
      provider: null,
      attempts: 0,
    });
    expect(summarize(await refusedTrace())).toMatchObject({ model: "chat-fast", status: 429, isError: true });
  });

  test("has null for what was never known", async () => {
    const trace = await startTrace().finish();
    expect(summarize(trace)).toMatchObject({
      requestId: trace.root.spanId,
      tenant: null,
      status: null,
      costUsd: null,
      costBasis: null,
    });
  });
});
