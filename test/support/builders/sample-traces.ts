// Traces as the pipeline leaves them, for the tests of what is done with a finished trace.
import type { SpanAttributes } from "../../../src/telemetry/trace/attributes.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { startTrace, type FakeTrace } from "../fakes/fake-trace.ts";

function begin(model: string, traceparent?: string): FakeTrace {
  const setup = startTrace({
    ...(traceparent !== undefined && { traceparent }),
    attributes: {
      "gateway.request.id": "req_7Fq2",
      "http.request.method": "POST",
      "http.route": "/v1/chat/completions",
      "gen_ai.request.model": model,
    },
  });
  setup.trace.setTenant("acme");
  const { root } = setup.trace;
  root.set({ "gateway.tenant.id": "acme", "gateway.key.id": "key_9f2c" });
  root
    .child("gateway.auth", { attributes: { "gateway.auth.result": "ok", "gateway.auth.source": "memory" } })
    .end();
  const config = root.child("gateway.config.load", { kind: "client" });
  setup.pass(2);
  config.set({ "gateway.config.source": "kv" }).end();
  root
    .child("gateway.route", {
      attributes: {
        "gateway.span.cpu_only": true,
        "gateway.route.strategy": "fallback",
        "gateway.route.reason": "first of 2",
        "gateway.route.candidates": ["openai/gpt-4o-mini", "anthropic/claude-haiku-4-5"],
      },
    })
    .end();
  return setup;
}

function lookUp(setup: FakeTrace, ms: number, attributes: SpanAttributes): void {
  const span = setup.trace.root.child("gateway.cache.lookup", { kind: "client" });
  setup.pass(ms);
  span.set(attributes).end();
}

function attempt(setup: FakeTrace, number: number, target: string, reason: string) {
  const model = target.slice(target.indexOf("/") + 1);
  return setup.trace.root.child(`chat ${model}`, {
    kind: "client",
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": target.slice(0, target.indexOf("/")),
      "gen_ai.request.model": model,
      "gateway.attempt.number": number,
      "gateway.attempt.target": target,
      "gateway.attempt.reason": reason,
    },
  });
}

/** Waited in the queue, got a 429 from the first target, streamed from the second. The trace README shows. */
export async function fallbackTrace(traceparent?: string): Promise<FinishedTrace> {
  const setup = begin("chat-fast", traceparent);
  const { root } = setup.trace;
  lookUp(setup, 9, { "gateway.cache.status": "miss" });
  const admission = root.child("gateway.admission", { kind: "client" });
  const askedAt = setup.now();
  setup.pass(402);
  admission
    .child("gateway.queue.wait", {
      kind: "server",
      startAt: askedAt + 1,
      attributes: {
        "gateway.queue.wait_ms": 400,
        "gateway.queue.position": 3,
        "gateway.queue.depth": 2,
        "gateway.queue.limit": "concurrency",
      },
    })
    .link({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }, "queued_behind")
    .link({ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" }, "queued_behind")
    .link({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331" }, "admitted_by")
    .end(askedAt + 401);
  admission.set({ "gateway.queue.outcome": "admitted" }).end();
  const first = attempt(setup, 1, "openai/gpt-4o-mini", "initial");
  setup.pass(309);
  first
    .set({ "gateway.attempt.outcome": "upstream_rate_limited", "http.response.status_code": 429 })
    .fail("429")
    .end();
  root.event("gateway.fallback", { "gateway.attempt.target": "anthropic/claude-haiku-4-5" });
  const second = attempt(setup, 2, "anthropic/claude-haiku-4-5", "fallback");
  setup.pass(407);
  second.event("gateway.stream.first_chunk");
  setup.pass(1158);
  second
    .set({
      "gateway.attempt.outcome": "ok",
      "http.response.status_code": 200,
      "gen_ai.usage.input_tokens": 512,
      "gen_ai.usage.output_tokens": 118,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.response.time_to_first_chunk": 0.407,
    })
    .end();
  root
    .child("gateway.usage.count", {
      attributes: { "gateway.span.cpu_only": true, "gateway.usage.source": "provider" },
    })
    .end();
  const record = root.child("gateway.usage.record", {
    kind: "client",
    attributes: { "gateway.usage.estimate_error_tokens": -138 },
  });
  root.set({
    "gateway.outcome": "ok",
    "http.response.status_code": 200,
    "gateway.route.id": "chat-fast",
    "gateway.attempt.target": "anthropic/claude-haiku-4-5",
    "gateway.attempt.count": 2,
    "gateway.fallback.used": true,
    "gateway.queue.wait_ms": 400,
    "gateway.cache.status": "miss",
    "gateway.ttfb_ms": 1129,
    "gateway.cost.usd": 0.001102,
    "gen_ai.usage.input_tokens": 512,
    "gen_ai.usage.output_tokens": 118,
    "gateway.metadata.team": "search",
  });
  root.end();
  setup.pass(3);
  record.end();
  return setup.trace.finished;
}

export async function cacheHitTrace(): Promise<FinishedTrace> {
  const setup = begin("chat-fast");
  lookUp(setup, 4, {
    "gateway.cache.status": "hit",
    "gateway.cache.age_s": 840,
    "gateway.cache.saved_ms": 2281,
    "gateway.cache.saved_usd": 0.001102,
  });
  setup.trace.root
    .set({
      "gateway.outcome": "cache_hit",
      "http.response.status_code": 200,
      "gateway.cache.status": "hit",
      "gateway.attempt.count": 0,
      "gateway.cost.usd": 0,
    })
    .link({ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" }, "cached_from");
  return setup.finish();
}

/** Looked up by meaning, with an embedding before; answered by the cache, or by a call after the miss. */
export async function semanticTrace(isHit: boolean): Promise<FinishedTrace> {
  const setup = begin("chat-fast");
  const { root } = setup.trace;
  lookUp(setup, 4, { "gateway.cache.status": "miss", "gateway.cache.kind": "exact" });
  const lookup = root.child("gateway.cache.lookup", { kind: "client" });
  const embedding = lookup.child("embeddings text-embed", {
    kind: "client",
    attributes: {
      "gen_ai.operation.name": "embeddings",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "text-embed",
      "gateway.attempt.number": 1,
      "gateway.attempt.target": "openai/text-embed",
      "gateway.attempt.reason": "cache",
    },
  });
  setup.pass(90);
  embedding.set({ "gateway.attempt.outcome": "ok", "gen_ai.usage.input_tokens": 12 }).end();
  setup.pass(6);
  const found = { "gateway.cache.kind": "semantic", "gateway.cache.similarity": isHit ? 0.973 : 0.91 };
  lookup.set({ "gateway.cache.status": isHit ? "hit" : "miss", ...found }).end();
  if (!isHit) {
    const call = attempt(setup, 1, "anthropic/claude-haiku-4-5", "initial");
    setup.pass(800);
    call.set({ "gateway.attempt.outcome": "ok", "gen_ai.usage.output_tokens": 118 }).end();
  }
  root.set({
    "gateway.outcome": isHit ? "cache_hit" : "ok",
    "http.response.status_code": 200,
    "gateway.route.id": "chat-fast",
    "gateway.cache.status": isHit ? "hit" : "miss",
    "gateway.cache.kind": isHit ? "semantic" : undefined,
    "gateway.cache.similarity": found["gateway.cache.similarity"],
    "gateway.cache.embedding_cost_usd": 0.000003,
    "gateway.cost.usd": isHit ? 0.000003 : 0.001105,
    "gateway.attempt.count": isHit ? 0 : 1,
  });
  return setup.finish();
}

export async function refusedTrace(): Promise<FinishedTrace> {
  const setup = begin("chat-fast");
  const admission = setup.trace.root.child("gateway.admission", { kind: "client" });
  setup.pass(3);
  admission.set({ "gateway.queue.outcome": "refused" }).end();
  setup.trace.root
    .set({
      "gateway.outcome": "rejected",
      "gateway.decision": "rate_limited",
      "gateway.limit.name": "requests_per_minute",
      "gateway.limit.value": 60,
      "gateway.limit.remaining": 0,
      "gateway.limit.reset_s": 12,
      "http.response.status_code": 429,
    })
    .fail("rate_limited");
  return setup.finish();
}

/** One quick answer that was not streamed. */
export async function plainTrace(durationMs = 812): Promise<FinishedTrace> {
  const setup = begin("openai/gpt-4o-mini");
  const call = attempt(setup, 1, "openai/gpt-4o-mini", "initial");
  setup.pass(durationMs);
  call.set({ "gateway.attempt.outcome": "ok", "gen_ai.usage.output_tokens": 118 }).end();
  setup.trace.root.set({
    "gateway.outcome": "ok",
    "http.response.status_code": 200,
    "gateway.attempt.count": 1,
    "gateway.attempt.target": "openai/gpt-4o-mini",
  });
  return setup.finish();
}
