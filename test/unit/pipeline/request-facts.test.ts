import { describe, expect, test } from "vitest";
import { type ErrorCode, GatewayError } from "../../../src/errors.ts";
import {
  factHeaders,
  formatDuration,
  outcomeOf,
  refusalAttributes,
  type RequestFacts,
  rootAttributes,
} from "../../../src/pipeline/request-facts.ts";
import { isListed } from "../../../src/telemetry/trace/attributes.ts";

const START = 1_000_000;

const FULL: RequestFacts = {
  startedAt: START,
  outcome: "ok",
  tenantId: "acme",
  keyId: "key-1",
  model: "chat",
  routeId: "chat",
  isStream: false,
  session: "s-1",
  metadata: { team: "search" },
  cache: "MISS",
  target: "openai/gpt-4o",
  vendor: "openai",
  attempts: 2,
  usedFallback: true,
  queueMs: 30,
  queueDepth: 4,
  queueLimit: "concurrency",
  cacheMs: 5,
  upstreamMs: 400,
  firstByteAt: START + 420,
  usage: { inputTokens: 10, outputTokens: 20, cacheReadTokens: 3, cacheWriteTokens: 4, reasoningTokens: 5 },
  usageIsEstimate: false,
  costUsd: 0.0125,
  requests: { limit: 600, remaining: 599, resetMs: 100 },
  tokens: { limit: 200_000, remaining: 0, resetMs: 61_000 },
};

describe("the response's headers", () => {
  test("say what happened, in the names and formats of the contract", () => {
    expect(factHeaders(FULL, START + 450)).toEqual({
      "server-timing": "queue;dur=30, cache;dur=5, upstream;dur=400, gateway;dur=15",
      "x-headgate-cache": "MISS",
      "x-headgate-target": "openai/gpt-4o",
      "x-headgate-attempts": "2",
      "x-headgate-queue-ms": "30",
      "x-headgate-cost-usd": "0.0125",
      "x-ratelimit-limit-requests": "600",
      "x-ratelimit-remaining-requests": "599",
      "x-ratelimit-reset-requests": "100ms",
      "x-ratelimit-limit-tokens": "200000",
      "x-ratelimit-remaining-tokens": "0",
      "x-ratelimit-reset-tokens": "1m1s",
    });
  });

  test.each([
    ["a/模型", "a/%E6%A8%A1%E5%9E%8B"],
    ["a/gpt\r\nx-evil: 1", "a/gpt%0D%0Ax-evil:%201"],
    ["a/gpt\u001b[31m", "a/gpt%1B[31m"],
    ["a/\ud800", "a/%EF%BF%BD"],
  ])("names the target %j so that a header can hold it", (target, written) => {
    const headers = factHeaders({ startedAt: START, target }, START);
    expect(new Headers(headers).get("x-headgate-target")).toBe(written);
  });

  test("leave out what is not known", () => {
    expect(factHeaders({ startedAt: START }, START + 3)).toEqual({
      "server-timing": "queue;dur=0, cache;dur=0, upstream;dur=0, gateway;dur=3",
    });
  });

  test("of a hit say how old it is, that no target was called, and that it cost nothing", () => {
    const hit: RequestFacts = { startedAt: START, cache: "HIT", cacheAgeSeconds: 0, attempts: 0, costUsd: 0 };
    expect(factHeaders(hit, START)).toMatchObject({
      age: "0",
      "x-headgate-cache": "HIT",
      "x-headgate-attempts": "0",
      "x-headgate-cost-usd": "0",
    });
  });

  test("of a stream leave the cost out, which is not known yet", () => {
    expect(factHeaders({ ...FULL, isStream: true }, START)).not.toHaveProperty("x-headgate-cost-usd");
    // A sum with a part that has no price never stands alone.
    const partial = factHeaders({ ...FULL, costMissing: ["tier:scale", "model:a/ü"] }, START);
    expect(partial["x-headgate-cost-missing"]).toBe("tier:scale, model:a/%C3%BC");
    expect(factHeaders({ ...FULL, costMissing: [] }, START)).not.toHaveProperty("x-headgate-cost-missing");
  });

  test("never show a time of the gateway's own below zero", () => {
    expect(factHeaders(FULL, START + 10)["server-timing"]).toMatch(/gateway;dur=0$/);
  });

  test.each([
    [0.000001, "0.000001"],
    [0.0000001, "0"],
    [1e-7 + 1e-6, "0.000001"],
    [12, "12"],
    [10, "10"],
    [100.5, "100.5"],
    [0.1 + 0.2, "0.3"],
  ])("write %f dollars without an exponent: %s", (costUsd, written) => {
    expect(factHeaders({ startedAt: START, costUsd }, START)["x-headgate-cost-usd"]).toBe(written);
  });
});

describe("a duration as OpenAI writes it", () => {
  test.each([
    [0, "0ms"],
    [-3, "0ms"],
    [0.4, "1ms"],
    [120, "120ms"],
    [999, "999ms"],
    [999.5, "1s"],
    [1000, "1s"],
    [1001, "2s"],
    [59_000, "59s"],
    [59_001, "1m0s"],
    [60_000, "1m0s"],
    [360_000, "6m0s"],
    [3_661_000, "61m1s"],
  ])("%f ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe("the root span's attributes", () => {
  test("are the same facts, as numbers", () => {
    const attributes = rootAttributes(FULL);
    expect(attributes).toMatchObject({
      "gateway.outcome": "ok",
      "gateway.tenant.id": "acme",
      "gateway.key.id": "key-1",
      "gen_ai.request.model": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.conversation.id": "s-1",
      "gateway.route.id": "chat",
      "gateway.stream": false,
      "gateway.attempt.target": "openai/gpt-4o",
      "gateway.attempt.count": 2,
      "gateway.fallback.used": true,
      "gateway.cache.status": "miss",
      "gateway.queue.wait_ms": 30,
      "gateway.queue.depth": 4,
      "gateway.queue.limit": "concurrency",
      "gateway.ttfb_ms": 420,
      "gateway.cost.usd": 0.0125,
      "gateway.usage.source": "provider",
      "gateway.metadata.team": "search",
      "gen_ai.usage.input_tokens": 10,
      "gen_ai.usage.output_tokens": 20,
      "gen_ai.usage.cache_read.input_tokens": 3,
      "gen_ai.usage.cache_creation.input_tokens": 4,
      "gen_ai.usage.cache_write.input_tokens": 4,
      "gen_ai.usage.reasoning.output_tokens": 5,
    });
    for (const name of Object.keys(attributes)) expect(isListed(name), name).toBe(true);
  });

  test("leave out what is not known, but not a zero", () => {
    const present = ({ startedAt, ...facts }: RequestFacts) =>
      Object.entries(rootAttributes({ startedAt, ...facts })).filter(([, value]) => value !== undefined);
    expect(present({ startedAt: START })).toEqual([]);
    expect(present({ startedAt: START, queueMs: 0, costUsd: 0 })).toEqual([
      ["gateway.queue.wait_ms", 0],
      ["gateway.cost.usd", 0],
    ]);
  });

  test("a client's metadata can't overwrite one of ours", () => {
    const attributes = rootAttributes({ startedAt: START, outcome: "ok", metadata: { outcome: "forged" } });
    expect(attributes["gateway.outcome"]).toBe("ok");
    expect(attributes["gateway.metadata.outcome"]).toBe("forged");
  });
});

describe("a refusal", () => {
  test("says on the span what its headers and body say", () => {
    const error = new GatewayError("rate_limited", "…", {
      limit: { name: "concurrency", value: 4, remaining: 0 },
      retryAfterMs: 1500.2,
    });
    expect(refusalAttributes(error)).toEqual({
      "gateway.decision": "rate_limited",
      "gateway.limit.name": "concurrency",
      "gateway.limit.value": 4,
      "gateway.limit.remaining": 0,
      "gateway.limit.reset_s": 2,
      "gateway.retry_after_ms": 1501,
    });
  });

  test.each<[ErrorCode, string]>([
    ["invalid_request", "rejected"],
    ["rate_limited", "rejected"],
    ["queue_full", "rejected"],
    ["cache_miss", "rejected"],
    ["upstream_rejected", "upstream_error"],
    ["upstream_rate_limited", "upstream_error"],
    ["upstream_timeout", "upstream_error"],
    ["client_disconnected", "client_disconnected"],
    ["unavailable", "gateway_error"],
    ["internal_error", "gateway_error"],
  ])("%s is the outcome %s", (code, outcome) => {
    expect(outcomeOf(new GatewayError(code, "…"))).toBe(outcome);
  });
});
