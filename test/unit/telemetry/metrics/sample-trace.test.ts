// What one request adds to the metrics, for each way it can go.
import { describe, expect, test } from "vitest";
import type { SpanAttributes } from "../../../../src/telemetry/trace/attributes.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { summaryTrace } from "../../../../src/telemetry/trace/refusal-trace-limiter.ts";
import type { Labels } from "../../../../src/telemetry/metrics/instruments.ts";
import { METRIC_LABELS } from "../../../../src/telemetry/metrics/instruments.ts";
import { sampleTrace } from "../../../../src/telemetry/metrics/sample-trace.ts";
import { createSeriesTable, countOf } from "../../../../src/telemetry/metrics/series.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
  semanticTrace,
} from "../../../support/builders/sample-traces.ts";

interface Sample {
  readonly labels: Labels;
  readonly sum: number;
  readonly count: number;
}

/** All series a trace leaves, by instrument. */
function sample(
  trace: FinishedTrace,
  isPriced = (_model: string): boolean => true,
): Readonly<Record<string, readonly Sample[]>> {
  const table = createSeriesTable();
  sampleTrace(
    trace,
    (instrument, labels, value, times) => table.record(instrument, labels, value, NOON, times),
    isPriced,
  );
  const samples: Record<string, Sample[]> = {};
  for (const series of table.list()) {
    const { instrument, labels, sum } = series;
    (samples[instrument] ??= []).push({ labels, sum, count: countOf(series) });
  }
  return samples;
}

const OPENAI = { "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai" } as const;
const ANTHROPIC = { ...OPENAI, "gen_ai.provider.name": "anthropic" } as const;

describe("a request that waited, was left by one target and answered by the next", () => {
  test("counts once, with the provider that answered and the name the client used", async () => {
    expect(sample(await fallbackTrace())["gateway.requests"]).toEqual([
      {
        labels: {
          "gateway.outcome": "ok",
          "gen_ai.request.model": "chat-fast",
          "gen_ai.provider.name": "anthropic",
        },
        sum: 1,
        count: 0,
      },
    ]);
  });

  test("leaves both calls, with their reason and outcome, and the failed one's error", async () => {
    const samples = sample(await fallbackTrace());
    expect(samples["gateway.attempts"]?.map(({ labels }) => labels)).toEqual([
      {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gateway.attempt.outcome": "upstream_rate_limited",
        "gateway.attempt.reason": "initial",
      },
      {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-haiku-4-5",
        "gateway.attempt.outcome": "ok",
        "gateway.attempt.reason": "fallback",
      },
    ]);
    expect(samples["gen_ai.client.operation.duration"]).toEqual([
      {
        labels: { ...OPENAI, "gen_ai.request.model": "gpt-4o-mini", "error.type": "429" },
        sum: 309,
        count: 1,
      },
      { labels: { ...ANTHROPIC, "gen_ai.request.model": "claude-haiku-4-5" }, sum: 1565, count: 1 },
    ]);
  });

  test("leaves wait, time to the first chunk, tokens and cost in whole raw units", async () => {
    const samples = sample(await fallbackTrace());
    const model = { ...ANTHROPIC, "gen_ai.request.model": "claude-haiku-4-5" };
    expect(samples["gateway.queue.wait"]).toEqual([{ labels: {}, sum: 400, count: 1 }]);
    expect(samples["gen_ai.client.operation.time_to_first_chunk"]).toEqual([
      { labels: model, sum: 407, count: 1 },
    ]);
    expect(samples["gen_ai.client.token.usage"]).toEqual([
      { labels: { ...model, "gen_ai.token.type": "input" }, sum: 512, count: 1 },
      { labels: { ...model, "gen_ai.token.type": "output" }, sum: 118, count: 1 },
    ]);
    const { "gen_ai.operation.name": _, ...priced } = model;
    expect(samples["gateway.cost"]).toEqual([{ labels: priced, sum: 1102, count: 0 }]);
    expect(samples["gateway.cache.lookups"]).toEqual([
      { labels: { "gateway.cache.status": "miss" }, sum: 1, count: 0 },
    ]);
  });
});

test("a refused request counts as refused, by its reason and limit, and names no model it was not routed to", async () => {
  const samples = sample(await refusedTrace());
  expect(samples["gateway.refusals"]).toEqual([
    {
      labels: { "gateway.decision": "rate_limited", "gateway.limit.name": "requests_per_minute" },
      sum: 1,
      count: 0,
    },
  ]);
  expect(samples["gateway.requests"]?.[0]?.labels).toEqual({
    "gateway.outcome": "rejected",
    "error.type": "rate_limited",
  });
  expect(samples["gateway.attempts"]).toBeUndefined();
});

test("a cache hit saves what the answer had cost, and calls no upstream", async () => {
  const trace = await cacheHitTrace();
  const root = {
    ...trace.root,
    attributes: { ...trace.root.attributes, "gateway.cache.saved_usd": 0.001102 },
  };
  const samples = sample({ ...trace, root });
  expect(samples["gateway.cache.saved"]).toEqual([{ labels: {}, sum: 1102, count: 0 }]);
  expect(samples["gateway.cache.lookups"]?.[0]?.labels).toEqual({ "gateway.cache.status": "hit" });
  expect(Object.keys(samples).filter((name) => name.startsWith("gen_ai."))).toEqual([]);
  expect(samples["gateway.cost"]).toBeUndefined();
});

test("a hit by meaning has its own kind, and its cost is the embedding model's", async () => {
  const samples = sample(await semanticTrace(true));
  const openai = { "gen_ai.provider.name": "openai", "gen_ai.request.model": "text-embed" };
  expect(samples["gateway.cache.lookups"]?.map(({ labels }) => labels)).toEqual([
    { "gateway.cache.status": "hit", "gateway.cache.kind": "semantic" },
  ]);
  expect(samples["gateway.requests"]?.[0]?.labels).toEqual({
    "gateway.outcome": "cache_hit",
    "gen_ai.request.model": "chat-fast",
  });
  expect(samples["gateway.cost"]).toEqual([{ labels: openai, sum: 3, count: 0 }]);
  expect(samples["gateway.attempts"]?.[0]?.labels).toMatchObject({ "gateway.attempt.reason": "cache" });
});

test("a miss by meaning shares its cost between the embedding and the answer", async () => {
  const samples = sample(await semanticTrace(false));
  expect(samples["gateway.cost"]?.map(({ labels, sum }) => [labels["gen_ai.request.model"], sum])).toEqual([
    ["claude-haiku-4-5", 1102],
    ["text-embed", 3],
  ]);
  expect(samples["gateway.requests"]?.[0]?.labels["gen_ai.provider.name"]).toBe("anthropic");
});

test("an estimate of the tokens stands on the root alone, and belongs to the last call", async () => {
  const trace = await plainTrace();
  const root = {
    ...trace.root,
    attributes: { ...trace.root.attributes, "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 1 },
  };
  const tokens = sample({ ...trace, root })["gen_ai.client.token.usage"] ?? [];
  // The call has its own count of output tokens.
  expect(tokens.map(({ labels, sum }) => [labels["gen_ai.token.type"], sum])).toEqual([
    ["input", 9],
    ["output", 118],
  ]);
});

test("a summary of refusals counts each of them, and has no duration", async () => {
  const samples = sample(await startTrace(summaryTrace(41)).finish());
  expect(samples["gateway.requests"]).toEqual([
    { labels: { "gateway.outcome": "rejected" }, sum: 41, count: 0 },
  ]);
  expect(samples["gateway.refusals"]?.[0]?.sum).toBe(41);
  expect(samples["gateway.request.duration"]).toBeUndefined();
});

test("a client that left is no error", async () => {
  const setup = startTrace({
    attributes: { "gateway.outcome": "client_disconnected", "gateway.decision": "client_disconnected" },
  });
  expect(sample(await setup.finish())["gateway.requests"]?.[0]?.labels).toEqual({
    "gateway.outcome": "client_disconnected",
  });
});

test("the operator's own requests are no traffic", async () => {
  const setup = startTrace({
    attributes: { "http.route": "/admin/tenants/:tenant", "gateway.outcome": "ok" },
  });
  expect(sample(await setup.finish())).toEqual({});
});

test("no label but the listed ones, and nothing of key, request, session or metadata", async () => {
  for (const trace of [await fallbackTrace(), await refusedTrace(), await cacheHitTrace()]) {
    const samples = Object.values(sample(trace)).flat();
    const names = new Set(samples.flatMap(({ labels }) => Object.keys(labels)));
    for (const name of names) expect(Object.keys(METRIC_LABELS)).toContain(name);
    expect(JSON.stringify(samples)).not.toMatch(/key_9f2c|req_7Fq2|search/);
  }
});

describe("models that a client names", () => {
  /** One answered request for a model, by a route or by `provider/model`. */
  async function traceOf(named: string, sent: string, strategy: string): Promise<FinishedTrace> {
    const rig = startTrace();
    rig.trace.root.set({ "gateway.outcome": "ok", "gateway.route.id": named, "gen_ai.request.model": named });
    rig.trace.root.child("gateway.route", { attributes: { "gateway.route.strategy": strategy } }).end();
    const attributes = { "gateway.attempt.number": 1, "gen_ai.request.model": sent } as const;
    rig.trace.root.child(`chat ${sent}`, { attributes }).end();
    return rig.finish();
  }
  const modelsOf = (samples: ReturnType<typeof sample>): readonly unknown[] => [
    ...new Set(
      Object.values(samples).flatMap((list) => list.map(({ labels }) => labels["gen_ai.request.model"])),
    ),
  ];
  const isPriced = (model: string): boolean => model === "gpt-4o-mini";

  test("are labels where a price lists them, with and without their provider's name", async () => {
    const trace = await traceOf("openai/gpt-4o-mini", "gpt-4o-mini", "direct");
    expect(modelsOf(sample(trace, isPriced))).toEqual(["openai/gpt-4o-mini", undefined, "gpt-4o-mini"]);
  });

  test.each(["gpt-4o-made-up", "x\u202Ey", "a".repeat(200)])(
    "are one label together where none does: %j",
    async (model) => {
      for (const strategy of ["direct", "pinned"]) {
        const trace = await traceOf(`openai/${model}`, model, strategy);
        expect(modelsOf(sample(trace, isPriced))).toEqual(["(unlisted)", undefined]);
      }
    },
  );

  test("are labels where the tenant's own route names them", async () => {
    const trace = await traceOf("fast", "my-own-model", "fallback");
    expect(modelsOf(sample(trace, isPriced))).toEqual(["fast", undefined, "my-own-model"]);
  });
});

describe("the vendor's prompt cache", () => {
  const series = (attributes: SpanAttributes) => {
    const { trace } = startTrace();
    trace.root.set({ "gen_ai.request.model": "chat", ...attributes });
    trace.root.end();
    return trace.finished.then((finished) => sample(finished));
  };

  test("counts input and read tokens by route, and what was wasted by its cause", async () => {
    const samples = await series({
      "gen_ai.usage.input_tokens": 1000,
      "gen_ai.usage.cache_read.input_tokens": 400,
      "gateway.prompt_cache.cause": "expired",
      "gateway.prompt_cache.wasted_usd": 0.25,
    });
    const route = { "gen_ai.request.model": "chat" };
    expect(samples["gateway.prompt_cache.input"]).toEqual([
      expect.objectContaining({ labels: route, sum: 1000 }),
    ]);
    expect(samples["gateway.prompt_cache.read"]).toEqual([
      expect.objectContaining({ labels: route, sum: 400 }),
    ]);
    const labels = { ...route, "gateway.prompt_cache.cause": "expired" };
    expect(samples["gateway.prompt_cache.wasted"]).toEqual([
      expect.objectContaining({ labels, sum: 250_000 }),
    ]);
  });

  test("counts nothing for an answer that says nothing of it", async () => {
    const samples = await series({ "gen_ai.usage.input_tokens": 1000 });
    expect(Object.keys(samples).filter((name) => name.includes("prompt_cache"))).toEqual([]);
  });
});
