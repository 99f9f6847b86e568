// The pipeline with streamed answers, in the runtime that carries them: fallback before the first byte, and what is settled, stored
// and traced when a stream ends, is cut, or loses its client.
import { describe, expect, test } from "vitest";
import { textTokens } from "../../../src/pricing/estimate/text-tokens.ts";
import type { Generation } from "../../../src/pipeline/ports.ts";
import {
  createFakeGateway,
  type FakeGatewayOptions,
  spanNamed,
  spansNamed,
} from "../../support/fakes/fake-gateway.ts";
import {
  ANSWER,
  createFakeBody,
  END,
  readAll,
  type SourceScript,
  textEvent,
  USAGE_EVENT,
} from "../../support/fakes/fake-stream.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import type { FakeReply } from "../../support/fakes/fake-upstream.ts";

const ROUTES = {
  chat: {
    targets: [
      { provider: "a", model: "one" },
      { provider: "b", model: "two" },
    ],
    retries: { maxAttempts: 1 },
  },
};

function streaming(options: FakeGatewayOptions) {
  return createFakeGateway({
    bundle: fakeBundle({ routes: ROUTES }),
    isRealTime: true,
    ...options,
    chat: { model: "chat", stream: true, ...options.chat },
  });
}

const reply =
  (script: SourceScript): FakeReply =>
  ({ signal }) =>
    new Response(createFakeBody(script, signal), { headers: { "content-type": "text/event-stream" } });

const sending = (...parts: readonly string[]): FakeReply =>
  reply(async (source) => {
    for (const part of parts) {
      await source.send(part);
      await source.pause(5);
    }
    await source.end();
  });

const cutAfter = (text: string): FakeReply =>
  reply(async (source) => {
    await source.send(text);
    await source.pause(20);
    await source.cut();
  });

const ERROR_EVENT = `data: {"error":{"message":"overloaded","type":"server_error"}}\n\n`;

function streamOf({ body }: Generation): ReadableStream<Uint8Array> {
  if (typeof body === "string") throw new Error("it is no stream");
  return body;
}

describe("a stream that goes well", () => {
  test("reaches the client as it came, and its end settles, counts and releases once", async () => {
    const gateway = streaming({ replies: [sending(ANSWER)] });
    const generation = await gateway.generate();
    expect(generation.contentType).toBe("text/event-stream; charset=utf-8");
    expect(gateway.releases).toBe(0);
    expect(await readAll(streamOf(generation))).toBe(ANSWER);
    await gateway.finish();
    expect(gateway.releases).toBe(1);
    expect(gateway.facts).toMatchObject({
      outcome: "ok",
      attempts: 1,
      target: "a/one",
      usage: { inputTokens: 10, outputTokens: 20 },
      usageIsEstimate: false,
    });
    expect(gateway.queue.settlements).toEqual([
      expect.objectContaining({ leaseId: "lease-1", outcome: "ok", inputTokens: 10, outputTokens: 20 }),
    ]);
    expect(gateway.queue.heartbeats).toBe(0);
  });

  test("keeps its lease until its last byte", async () => {
    let isRead = false;
    const gateway = streaming({
      replies: [
        reply(async (source) => {
          await source.send(textEvent("Hi"));
          await source.until(() => isRead);
          await source.send(textEvent("!", "stop") + END);
          await source.end();
        }),
      ],
    });
    const reader = streamOf(await gateway.generate()).getReader();
    await reader.read();
    expect(gateway.queue.settlements).toEqual([]);
    expect(gateway.queue.heartbeats).toBe(1);
    isRead = true;
    while (!(await reader.read()).done) continue;
    await gateway.finish();
    expect(gateway.queue.settlements).toHaveLength(1);
    expect(gateway.queue.heartbeats).toBe(0);
  });

  test("asks the upstream for the usage that is counted nowhere else", async () => {
    const gateway = streaming({ replies: [sending(ANSWER)] });
    await readAll(streamOf(await gateway.generate()));
    expect(gateway.upstream.calls[0]?.json).toMatchObject({
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  test("leaves its length, its first chunk and its end on the spans", async () => {
    const gateway = streaming({
      replies: [sending(textEvent("Hi"), textEvent("!", "stop"), USAGE_EVENT, END)],
    });
    const text = await readAll(streamOf(await gateway.generate()));
    const trace = await gateway.finish();
    const attempt = spanNamed(trace, "chat one");
    expect(attempt.attributes).toMatchObject({
      "gen_ai.request.stream": true,
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.response.time_to_first_chunk": expect.any(Number),
      "gen_ai.usage.output_tokens": 20,
      "gateway.attempt.outcome": "ok",
      "gateway.stream.outcome": "complete",
      "gateway.stream.chunks": 4,
      "gateway.stream.bytes": text.length,
      "http.response.status_code": 200,
    });
    expect(attempt.events.map(({ name }) => name)).toEqual(["gateway.stream.first_chunk"]);
    expect(attempt.isError).toBe(false);
    expect(trace.root.attributes).toMatchObject({
      "gateway.stream.outcome": "complete",
      "gateway.stream.chunks": 4,
      "gateway.outcome": "ok",
    });
    expect(trace.root.isError).toBe(false);
  });

  test("is stored as it was sent, and replayed to the next one, streamed or whole", async () => {
    const cache = { mode: "on" } as const;
    const first = streaming({
      cache,
      replies: [sending(textEvent("Hi"), textEvent("!", "stop"), USAGE_EVENT, END)],
    });
    const text = await readAll(streamOf(await first.generate()));
    await first.finish();
    const { cacheStore } = first;
    expect([...cacheStore.entries.values()]).toEqual([
      expect.objectContaining({ form: "sse", body: text, usage: { inputTokens: 10, outputTokens: 20 } }),
    ]);
    const again = streaming({ cache, cacheStore });
    expect(await again.generate()).toEqual({ contentType: "text/event-stream; charset=utf-8", body: text });
    expect(again.queue.asks).toEqual([]);
    const whole = streaming({ cache, cacheStore, chat: { stream: false } });
    const { body } = await whole.generate();
    expect(JSON.parse(typeof body === "string" ? body : "")).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: "Hi!" }, finish_reason: "stop" }],
    });
  });
});

describe("a stream that fails before its first byte", () => {
  test.each<[string, FakeReply]>([
    ["an error for its first event", sending(ERROR_EVENT)],
    ["no event at all", sending()],
    ["garbage for its first event", sending("data: <html>\n\n")],
    ["a broken connection", cutAfter(": ping\n\n")],
    ["a status of its own", Response.json({ error: { message: "no" } }, { status: 503 })],
  ])("by %s is another target's to answer, and the client sees nothing of it", async (_, broken) => {
    const gateway = streaming({ replies: [broken, sending(ANSWER)] });
    expect(await readAll(streamOf(await gateway.generate()))).toBe(ANSWER);
    const trace = await gateway.finish();
    expect(gateway.facts).toMatchObject({ outcome: "ok", attempts: 2, usedFallback: true, target: "b/two" });
    expect(gateway.queue.settlements).toEqual([expect.objectContaining({ outcome: "ok" })]);
    expect(gateway.releases).toBe(1);
    expect(spanNamed(trace, "chat one").attributes).toMatchObject({ "gateway.attempt.left_for": "fallback" });
    expect(trace.root.events.map(({ name }) => name)).toEqual(["gateway.fallback"]);
  });

  test("everywhere is thrown, so that the client gets a status", async () => {
    const gateway = streaming({ replies: [sending(ERROR_EVENT), sending()] });
    expect(await gateway.refusal()).toMatchObject({ code: "upstream_malformed", status: 502 });
    await gateway.finish();
    expect(gateway.queue.settlements).toEqual([
      expect.objectContaining({ outcome: "error", outputTokens: 0 }),
    ]);
    // The middleware ends the root: nothing was sent that would outlive it.
    expect(gateway.releases).toBe(0);
  });
});

describe("a stream that fails in the middle", () => {
  test("reaches the client in the stream, and no other target is called", async () => {
    const gateway = streaming({ cache: { mode: "on" }, replies: [cutAfter(textEvent("Hello, world"))] });
    const text = await readAll(streamOf(await gateway.generate()));
    expect(text).toMatch(/"Hello, world".*\n\ndata: \{"error":\{.*"code":"upstream_error"\}\}\n\n$/);
    const trace = await gateway.finish();
    expect(gateway.upstream.calls).toHaveLength(1);
    expect(gateway.facts).toMatchObject({ outcome: "upstream_error", usageIsEstimate: true });
    expect(spanNamed(trace, "chat one")).toMatchObject({
      isError: true,
      attributes: {
        "error.type": "upstream_error",
        "gateway.stream.outcome": "cut",
        "gateway.attempt.outcome": "upstream_error",
        "gen_ai.response.finish_reasons": ["error"],
      },
    });
    expect(trace.root).toMatchObject({ isError: true, attributes: { "gateway.stream.outcome": "cut" } });
  });

  test("is settled once by an estimate of what was written, and never stored", async () => {
    const gateway = streaming({ cache: { mode: "on" }, replies: [cutAfter(textEvent("x".repeat(400)))] });
    await readAll(streamOf(await gateway.generate()));
    const trace = await gateway.finish();
    expect(gateway.queue.settlements).toEqual([
      expect.objectContaining({
        outcome: "error",
        outputTokens: Math.ceil(textTokens("x".repeat(400))),
        inputTokens: expect.any(Number),
      }),
    ]);
    expect(gateway.releases).toBe(1);
    expect(gateway.cacheStore.entries.size).toBe(0);
    expect(spanNamed(trace, "gateway.cache.store").attributes["gateway.cache.reason"]).toBe("incomplete");
    expect(spanNamed(trace, "gateway.usage.count").attributes["gateway.usage.source"]).toBe("estimate");
  });

  test("before anything was written costs the prompt, as an estimate", async () => {
    const role = `data: {"id":"c-1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n`;
    const gateway = streaming({ replies: [cutAfter(role)] });
    await readAll(streamOf(await gateway.generate()));
    const trace = await gateway.finish();
    const [settlement] = gateway.queue.settlements;
    expect(settlement).toMatchObject({ outcome: "error", outputTokens: 0 });
    expect(settlement?.inputTokens).toBeGreaterThan(0);
    expect(settlement?.costMicroUsd).toBeGreaterThan(0);
    const [count] = spansNamed(trace, "gateway.usage.count");
    expect(count?.attributes["gateway.usage.source"]).toBe("estimate");
  });
});

describe("a client who leaves a stream", () => {
  test("has its upstream stopped and its lease settled once, by what was written", async () => {
    const gateway = streaming({
      cache: { mode: "on" },
      replies: [
        reply(async (source) => {
          for (let at = 0; at < 500; at += 1) {
            await source.send(textEvent("x".repeat(40)));
            await source.pause(5);
          }
        }),
      ],
    });
    const reader = streamOf(await gateway.generate()).getReader();
    await reader.read();
    await reader.cancel();
    const trace = await gateway.finish();
    expect(gateway.facts.outcome).toBe("client_disconnected");
    expect(gateway.upstream.calls[0]?.signal.aborted).toBe(true);
    const [settlement, ...more] = gateway.queue.settlements;
    expect(more).toEqual([]);
    expect(settlement?.outcome).toBe("client_disconnected");
    expect(settlement?.outputTokens).toBeGreaterThanOrEqual(10);
    expect(gateway.queue.heartbeats).toBe(0);
    expect(gateway.cacheStore.entries.size).toBe(0);
    expect(gateway.releases).toBe(1);
    // No fault of the upstream.
    expect(spanNamed(trace, "chat one")).toMatchObject({
      isError: false,
      attributes: {
        "gateway.attempt.outcome": "client_disconnected",
        "gateway.stream.outcome": "client_disconnected",
      },
    });
    expect(trace.root.isError).toBe(false);
  });
});
