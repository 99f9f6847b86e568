// The pipeline as a whole, with whole answers: the happy path, the queue's word, and what each side learns. Faults of upstreams are
// generate-faults.test.ts, the cache generate-cache.test.ts, streams test/worker/upstream/stream-generate.test.ts.
import { describe, expect, test } from "vitest";
import { promptTokens } from "../../../src/pricing/estimate/request-tokens.ts";
import { GatewayError } from "../../../src/errors.ts";
import { QueueUnreachable } from "../../../src/limits/isolate/queue-client.ts";
import { createOutputLengthStats } from "../../../src/targets/output-lengths.ts";
import type { Refused } from "../../../src/limits/protocol.ts";
import {
  ADMITTED,
  createFakeGateway,
  spanNamed,
  spansNamed,
  UPSTREAM_SECRET,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import { completion } from "../../support/fakes/fake-upstream.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";

const ROUTES = { chat: { targets: [{ provider: "a", model: "gpt-4o-mini", params: { temperature: 0.2 } }] } };

const REFUSED: Refused = {
  kind: "refused",
  code: "rate_limited",
  limit: { name: "requests_per_minute", value: 60, remaining: 0 },
  retryAfterMs: 1200,
  wait: { waitMs: 40, position: 1, depth: 2, heldBy: "requests_per_minute", queuedBehind: [] },
  requests: { limit: 60, remaining: 0, resetMs: 1200 },
  configVersion: 7,
  epoch: 1,
};

describe("a request that goes well", () => {
  test("is answered with the upstream's own bytes", async () => {
    const body = await completion().text();
    const gateway = createFakeGateway({ replies: [new Response(body)] });
    expect(await gateway.generate()).toEqual({ contentType: "application/json", body });
  });

  test("reaches the upstream with the target's model, params and credential, and follows no redirect", async () => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({ routes: ROUTES }),
      chat: { model: "chat", temperature: 1, seed: 7 },
      headers: { "openai-beta": "assistants=v2", "openai-organization": "org-1", cookie: "c=1" },
      replies: [completion()],
    });
    await gateway.generate();
    const [call] = gateway.upstream.calls;
    expect(call).toMatchObject({
      url: "https://a.example/v1/chat/completions",
      method: "POST",
      redirect: "manual",
      json: { model: "gpt-4o-mini", temperature: 0.2, seed: 7 },
    });
    expect(Object.fromEntries(call?.headers ?? [])).toEqual({
      authorization: `Bearer ${UPSTREAM_SECRET}`,
      "content-type": "application/json",
      "openai-beta": "assistants=v2",
    });
  });

  test("tells the upstream of its trace only where the account says so", async () => {
    const providers = { a: { propagateTrace: true } };
    const gateway = createFakeGateway({ bundle: fakeBundle({ providers }), replies: [completion()] });
    await gateway.generate();
    const attempt = spanNamed(await gateway.finish(), "chat gpt-4o-mini");
    expect(gateway.upstream.calls[0]?.headers.get("traceparent")).toBe(
      `00-${attempt.traceId}-${attempt.spanId}-01`,
    );
  });

  test("asks the queue once, in the tenant's and the key's name", async () => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({
        record: { limits: { concurrency: 2, queue: { maxWaitMs: 5000 } } },
        key: { limits: { requestsPerMinute: 6 } },
      }),
      chat: { max_tokens: 50 },
      headers: { "x-headgate-priority": "batch", "x-headgate-max-wait-ms": "9000" },
      replies: [completion()],
    });
    await gateway.generate();
    expect(gateway.queue.asks).toEqual([
      expect.objectContaining({
        requestId: "req_1",
        traceId: gateway.call.trace.traceId,
        spanId: gateway.call.trace.root.ref.spanId,
        keyId: "key-1",
        lane: "batch",
        // The lower of the header's and the tenant's.
        maxWaitMs: 5000,
        configVersion: 7,
        limits: { concurrency: 2, maxDepth: 100, maxWaitMs: 5000 },
        keyLimits: { requestsPerMinute: 6, maxDepth: 100, maxWaitMs: 30_000 },
        estimate: { inputTokens: promptTokens(gateway.call.chat), outputTokens: 50 },
      }),
    ]);
  });

  test("is asked for as much as the model's answers have come to, once five have ended", async () => {
    const outputLengths = createOutputLengthStats();
    const estimates: unknown[] = [];
    for (let n = 0; n < 6; n += 1) {
      const gateway = createFakeGateway({ replies: [completion()], targets: { outputLengths } });
      await gateway.generate();
      await gateway.finish();
      estimates.push(gateway.queue.asks[0]?.estimate.outputTokens);
    }
    expect(estimates).toEqual([0, 0, 0, 0, 0, 500]);
  });

  test("gives its lease back once, with what the upstream billed, and stops the heartbeat", async () => {
    const gateway = createFakeGateway({ replies: [completion()] });
    await gateway.generate();
    await gateway.finish();
    expect(gateway.queue.settlements).toEqual([
      {
        requestId: "req_1",
        keyId: "key-1",
        leaseId: "lease-1",
        outcome: "ok",
        inputTokens: 1000,
        outputTokens: 500,
        // 1000 tokens at 15 cents a million and 500 at 60 cents.
        costMicroUsd: 450,
        usage: [["main\t\ta\tgpt-4o-mini\ta/gpt-4o-mini", [1, 0, 0, 0, 1000, 500, 0, 0, 0, 450, 0, 0]]],
        durationMs: expect.any(Number),
      },
    ]);
    expect(gateway.queue.heartbeats).toBe(0);
    expect(gateway.notedVersions).toEqual([7]);
  });

  test("leaves the facts that headers and root are made of", async () => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({ routes: ROUTES }),
      chat: { model: "chat" },
      queue: {
        answer: { ...ADMITTED, wait: { ...ADMITTED.wait, waitMs: 30, depth: 2, heldBy: "concurrency" } },
      },
      replies: [completion()],
    });
    await gateway.generate();
    expect(gateway.facts).toMatchObject({
      outcome: "ok",
      routeId: "chat",
      target: "a/gpt-4o-mini",
      vendor: "openai",
      attempts: 1,
      usedFallback: false,
      cache: "BYPASS",
      queueMs: 30,
      queueDepth: 2,
      queueLimit: "concurrency",
      usage: { inputTokens: 1000, outputTokens: 500 },
      usageIsEstimate: false,
      costUsd: 0.000_45,
    });
  });

  test("leaves a complete trace", async () => {
    const gateway = createFakeGateway({
      bundle: fakeBundle({ routes: ROUTES }),
      chat: { model: "chat", max_tokens: 50 },
      headers: { "x-headgate-session": "s-1" },
      replies: [completion({}, { "x-request-id": "up-1" })],
    });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(checkTrace(asFlat(trace))).toEqual([]);
    expect(trace.spans.map(({ name }) => name)).toEqual([
      "POST /v1/chat/completions",
      "gateway.route",
      "gateway.cache.lookup",
      "gateway.admission",
      "gateway.queue.wait",
      "chat gpt-4o-mini",
      "gateway.usage.count",
      "gateway.usage.record",
      // It has a session.
      "gateway.prompt_cache",
    ]);
    expect(trace.spans.some(({ isError }) => isError)).toBe(false);
    expect(spanNamed(trace, "gateway.route").attributes).toMatchObject({
      "gateway.route.id": "chat",
      "gateway.route.strategy": "fallback",
      "gateway.route.candidates": ["a/gpt-4o-mini"],
      "gateway.route.chosen": "a/gpt-4o-mini",
      "gateway.route.reason": "first in the route's order",
    });
    expect(spanNamed(trace, "gateway.cache.lookup").attributes).toMatchObject({
      "gateway.cache.status": "bypass",
      "gateway.cache.reason": "tenant_off",
    });
    expect(spanNamed(trace, "gateway.admission").attributes).toMatchObject({
      "gateway.queue.outcome": "admitted",
      "gateway.queue.lane": "interactive",
    });
    expect(spanNamed(trace, "chat gpt-4o-mini").attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-4o-mini",
      "gen_ai.request.max_tokens": 50,
      "gen_ai.conversation.id": "s-1",
      "gen_ai.response.id": "chatcmpl-1",
      "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 1000,
      "gen_ai.usage.output_tokens": 500,
      "server.address": "a.example",
      "server.port": 443,
      "http.response.status_code": 200,
      "gateway.attempt.number": 1,
      "gateway.attempt.reason": "initial",
      "gateway.attempt.outcome": "ok",
      "gateway.attempt.target": "a/gpt-4o-mini",
      "gateway.upstream.request_id": "up-1",
    });
    expect(spanNamed(trace, "gateway.usage.count").attributes).toMatchObject({
      "gateway.usage.source": "provider",
      "gateway.cost.usd": 0.000_45,
    });
    const reserved = promptTokens(gateway.call.chat) + 50;
    expect(spanNamed(trace, "gateway.usage.record").attributes).toMatchObject({
      "gateway.usage.reserved_tokens": reserved,
      "gateway.usage.estimate_error_tokens": 1500 - reserved,
    });
  });

  test("puts neither the prompt, nor the answer, nor a credential on a span", async () => {
    const gateway = createFakeGateway({
      chat: { messages: [{ role: "user", content: "canary-prompt" }], user: "canary-user" },
      replies: [completion({ text: "canary-answer" })],
    });
    await gateway.generate();
    expect(JSON.stringify(await gateway.finish())).not.toContain("canary");
  });

  test("whose upstream bills nothing is settled by an estimate, and says so", async () => {
    const gateway = createFakeGateway({ replies: [completion({ text: "x".repeat(400), usage: null })] });
    await gateway.generate();
    const trace = await gateway.finish();
    const inputTokens = promptTokens(gateway.call.chat);
    expect(gateway.queue.settlements).toEqual([
      expect.objectContaining({ outcome: "ok", inputTokens, outputTokens: 88 }),
    ]);
    expect(spanNamed(trace, "gateway.usage.count").attributes["gateway.usage.source"]).toBe("estimate");
    expect(spanNamed(trace, "chat gpt-4o-mini").attributes).toMatchObject({
      "gen_ai.usage.output_tokens": 88,
      "gateway.usage.source": "estimate",
    });
  });

  test("of a model without a price has no cost, which is not a cost of zero", async () => {
    const gateway = createFakeGateway({ replies: [completion()], deps: { priceOf: () => undefined } });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(gateway.facts.costUsd).toBeUndefined();
    expect(trace.root.attributes["gateway.cost.usd"]).toBeUndefined();
    expect(gateway.queue.settlements[0]?.costMicroUsd).toBe(0);
  });

  test("is priced by the model that was asked where the one that answered has no price", async () => {
    const gateway = createFakeGateway({
      replies: [completion({ model: "unheard-of" })],
      deps: {
        priceOf: (_, model) => (model === "gpt-4o-mini" ? { input: 1_000_000, output: 0 } : undefined),
      },
    });
    await gateway.generate();
    expect(gateway.facts.costUsd).toBe(0.001);
  });
});

describe("the queue's refusal", () => {
  test("is a 429 with the limit, its value, and when to come again", async () => {
    const gateway = createFakeGateway({ queue: { answer: REFUSED } });
    expect(await gateway.refusal()).toMatchObject({
      code: "rate_limited",
      status: 429,
      message: "Request limit (60 per minute) reached. The request waited 0.04 s. Try again in 1.2 s.",
      details: { limit: { name: "requests_per_minute", value: 60, remaining: 0 }, retryAfterMs: 1200 },
    });
    expect(gateway.facts).toMatchObject({ queueMs: 40, queueDepth: 2, requests: { remaining: 0 } });
  });

  test("costs nothing: no target is called, nothing is settled, no heartbeat runs", async () => {
    const gateway = createFakeGateway({ queue: { answer: REFUSED } });
    await gateway.refusal();
    const trace = await gateway.finish();
    expect(gateway.upstream.calls).toEqual([]);
    expect(gateway.queue.settlements).toEqual([]);
    expect(gateway.queue.heartbeats).toBe(0);
    expect(spansNamed(trace, "gateway.usage.record")).toEqual([]);
  });

  test("stands on the admission's span in the same numbers", async () => {
    const gateway = createFakeGateway({ queue: { answer: REFUSED } });
    await gateway.refusal();
    const trace = await gateway.finish();
    expect(spanNamed(trace, "gateway.admission").attributes).toMatchObject({
      "gateway.queue.outcome": "refused",
      "gateway.decision": "rate_limited",
      "gateway.limit.name": "requests_per_minute",
      "gateway.limit.value": 60,
      "gateway.limit.remaining": 0,
      "gateway.limit.reset_s": 2,
    });
    expect(spanNamed(trace, "gateway.queue.wait").attributes).toMatchObject({
      "gateway.queue.outcome": "refused",
      "gateway.queue.wait_ms": 40,
      "gateway.queue.position": 1,
      "gateway.queue.limit": "requests_per_minute",
    });
  });
});

describe("the wait in the queue", () => {
  const holder = { requestId: "req_0", traceId: "b".repeat(32), spanId: "b".repeat(16) };

  test("is a span inside the admission's, with links to who was in front", async () => {
    const gateway = createFakeGateway({
      queue: {
        async answer() {
          gateway.pass(100);
          const wait = { waitMs: 80, position: 1, depth: 0, queuedBehind: [holder], admittedBy: holder };
          return { ...ADMITTED, wait };
        },
      },
      replies: [completion()],
    });
    await gateway.generate();
    const trace = await gateway.finish();
    const admission = spanNamed(trace, "gateway.admission");
    const wait = spanNamed(trace, "gateway.queue.wait");
    expect(wait).toMatchObject({ kind: "server", parentSpanId: admission.spanId });
    expect(wait.endAt - wait.startAt).toBe(80);
    expect(wait.startAt).toBe(admission.startAt + 10);
    expect(wait.links).toEqual([
      {
        traceId: holder.traceId,
        spanId: holder.spanId,
        attributes: { "gateway.link.type": "queued_behind" },
      },
      { traceId: holder.traceId, spanId: holder.spanId, attributes: { "gateway.link.type": "admitted_by" } },
    ]);
    expect(wait.attributes["gateway.queue.admitted_by"]).toBe(holder.traceId);
  });

  test("never sticks out of the admission's span, whatever the object's clock says", async () => {
    const wait = { ...ADMITTED.wait, waitMs: 5000 };
    const gateway = createFakeGateway({ queue: { answer: { ...ADMITTED, wait } }, replies: [completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(checkTrace(asFlat(trace))).toEqual([]);
    expect(spanNamed(trace, "gateway.queue.wait").attributes["gateway.queue.wait_ms"]).toBe(5000);
  });

  test("ends with the client: no target is called and nothing is settled", async () => {
    const client = new AbortController();
    const gateway = createFakeGateway({
      signal: client.signal,
      queue: {
        async answer({ configVersion }, signal) {
          expect(signal).toBe(client.signal);
          return { kind: "cancelled", wait: { ...ADMITTED.wait, waitMs: 70 }, configVersion, epoch: 1 };
        },
      },
    });
    expect(await gateway.refusal()).toMatchObject({ code: "client_disconnected" });
    const trace = await gateway.finish();
    expect(gateway.upstream.calls).toEqual([]);
    expect(gateway.queue.settlements).toEqual([]);
    expect(gateway.facts.queueMs).toBe(70);
    expect(spanNamed(trace, "gateway.admission").attributes["gateway.queue.outcome"]).toBe("cancelled");
  });
});

describe("a queue that can't be reached", () => {
  const unreachable = {
    async answer(): Promise<never> {
      throw new QueueUnreachable("timeout");
    },
  };

  test("lets the request through where the tenant says open, and the span says so", async () => {
    const gateway = createFakeGateway({ queue: unreachable, replies: [completion()] });
    await gateway.generate();
    const trace = await gateway.finish();
    const admission = spanNamed(trace, "gateway.admission");
    expect(admission).toMatchObject({ isError: true, attributes: { "gateway.queue.outcome": "open" } });
    expect(gateway.facts.outcome).toBe("ok");
    // There is no lease to give back.
    expect(gateway.queue.settlements).toEqual([]);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("is a 503 where the tenant says closed", async () => {
    const bundle = fakeBundle({ record: { onQueueError: "closed" } });
    const gateway = createFakeGateway({ bundle, queue: unreachable });
    expect(await gateway.refusal()).toMatchObject({ code: "unavailable", status: 503 });
    const trace = await gateway.finish();
    expect(gateway.upstream.calls).toEqual([]);
    expect(spanNamed(trace, "gateway.admission").attributes["gateway.queue.outcome"]).toBe("refused");
  });

  test("at the end of a request takes nothing from its answer, and the span says that the queue did not hear", async () => {
    const gateway = createFakeGateway({
      replies: [completion()],
      queue: { settle: async () => Promise.reject(new QueueUnreachable("failed")) },
    });
    expect((await gateway.generate()).body).toContain("Hello");
    const trace = await gateway.finish();
    expect(spanNamed(trace, "gateway.usage.record")).toMatchObject({
      isError: true,
      attributes: { "error.type": "queue_unreachable" },
    });
  });

  test("differs from any other fault", async () => {
    const fault = new TypeError("a bug");
    const gateway = createFakeGateway({ queue: { answer: async () => Promise.reject(fault) } });
    expect(await gateway.refusal()).toBe(fault);
  });
});

describe("records older than what was just made", () => {
  test("are read again where they refuse: a route just made works at once", async () => {
    const fresh = fakeBundle({ version: 8, routes: ROUTES });
    const gateway = createFakeGateway({
      chat: { model: "chat" },
      replies: [completion()],
      deps: { reload: async () => fresh },
    });
    await gateway.generate();
    const trace = await gateway.finish();
    expect(gateway.facts.routeId).toBe("chat");
    expect(gateway.queue.asks[0]?.configVersion).toBe(8);
    const [first, second] = spansNamed(trace, "gateway.route");
    expect(first?.attributes["gateway.decision"]).toBe("model_not_found");
    expect(second?.attributes["gateway.route.chosen"]).toBe("a/gpt-4o-mini");
  });

  test("are not asked for where they allow the request", async () => {
    let reloads = 0;
    const reload = async () => void reloads++;
    const gateway = createFakeGateway({
      replies: [completion()],
      deps: { reload: async () => (await reload(), undefined) },
    });
    await gateway.generate();
    expect(reloads).toBe(0);
  });

  test.each([
    ["are no newer", async () => fakeBundle({ version: 7, routes: ROUTES })],
    ["are gone", async () => undefined],
    ["can't be read", async () => Promise.reject(new GatewayError("unavailable", "down"))],
  ])("that %s leave the refusal as it was", async (_, reload) => {
    const gateway = createFakeGateway({ chat: { model: "chat" }, deps: { reload } });
    expect(await gateway.refusal()).toMatchObject({ code: "model_not_found", status: 404 });
    expect(gateway.queue.asks).toEqual([]);
  });

  test("whose key is gone refuse the key", async () => {
    const reload = async () => fakeBundle({ version: 8, routes: ROUTES, hasKey: false });
    const gateway = createFakeGateway({ chat: { model: "chat" }, deps: { reload } });
    expect(await gateway.refusal()).toMatchObject({ code: "invalid_api_key" });
  });

  test("bring a key's new permission along", async () => {
    const reload = async () => fakeBundle({ version: 8, key: { allowedModels: ["a/*"] } });
    const gateway = createFakeGateway({
      bundle: fakeBundle({ key: { allowedModels: ["b/*"] } }),
      replies: [completion()],
      deps: { reload },
    });
    await gateway.generate();
    expect(gateway.facts.outcome).toBe("ok");
  });
});
