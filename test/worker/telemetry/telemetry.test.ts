// Our spans in the library's own objects, and their way into the store, in the real runtime. A change of the pinned
// @microlabs/otel-cf-workers that breaks what we rely on fails here.
import { env } from "cloudflare:workers";
import { describe, expect, test } from "vitest";
import { createExporter } from "../../../src/telemetry/export/exporter.ts";
import { createIds } from "../../../src/telemetry/trace/ids.ts";
import { createRequestTrace, type RequestTraceInit } from "../../../src/telemetry/trace/request-trace.ts";
import { createSpan } from "../../../src/telemetry/trace/span-impl.ts";
import { toHrTime, toMs } from "../../../src/telemetry/trace/span-recorder.ts";
import type { TraceStorePort } from "../../../src/telemetry/store/stored-trace.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace/trace.ts";
import { createTraceReader } from "../../../src/telemetry/store/trace-reader.ts";
import { parseTraceQuery } from "../../../src/telemetry/store/trace-query.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";

const ids = createIds((bytes) => crypto.getRandomValues(bytes));
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function start(about: Partial<RequestTraceInit> = {}) {
  return createRequestTrace({
    createSpan,
    clock: Date.now,
    sleep,
    ids,
    name: "POST /v1/chat/completions",
    kind: "server",
    attributes: { "gateway.outcome": "ok" },
    ...about,
  });
}

describe("the library's span", () => {
  const begin = (onEnd = (): void => {}) =>
    createSpan({
      name: "chat m",
      kind: "client",
      traceId: "a".repeat(32),
      spanId: "b".repeat(16),
      parentSpanId: "c".repeat(16),
      startTime: toHrTime(1_795_600_000_123),
      onEnd,
    });

  test("keeps times to the millisecond", () => {
    const span = begin();
    span.end(toHrTime(1_795_600_000_999));
    expect([toMs(span.startTime), toMs(span.endTime)]).toEqual([1_795_600_000_123, 1_795_600_000_999]);
  });

  test("ends once, and says so once", () => {
    let ends = 0;
    const span = begin(() => ends++);
    span.end(toHrTime(1_795_600_000_200));
    span.end(toHrTime(1_795_600_000_300));
    expect([ends, toMs(span.endTime), span.ended]).toEqual([1, 1_795_600_000_200, true]);
  });

  test("takes attributes after its end, which the cut-off and the count of dropped spans rely on", () => {
    const span = begin();
    span.end(toHrTime(1_795_600_000_200));
    span.setAttribute("gateway.span.dropped_count", 3);
    expect(span.attributes).toEqual({ "gateway.span.dropped_count": 3 });
  });

  test("keeps every kind of value, event and link as it was given", () => {
    const span = begin();
    span.setAttribute("gateway.route.rejected", ["a: b"]);
    span.setAttribute("gateway.stream", false);
    span.setAttribute("gateway.ttfb_ms", 0);
    span.addEvent("gateway.retry", { "gateway.backoff_ms": 5 }, toHrTime(1_795_600_000_150));
    span.addLink({
      context: { traceId: "d".repeat(32), spanId: "e".repeat(16), traceFlags: 1 },
      attributes: { "gateway.link.type": "queued_behind" },
    });
    span.setStatus({ code: 2 });
    expect(span.attributes).toEqual({
      "gateway.route.rejected": ["a: b"],
      "gateway.stream": false,
      "gateway.ttfb_ms": 0,
    });
    expect(span.events.map(({ name, time, attributes }) => [name, toMs(time), attributes])).toEqual([
      ["gateway.retry", 1_795_600_000_150, { "gateway.backoff_ms": 5 }],
    ]);
    expect(span.links[0]).toMatchObject({ context: { spanId: "e".repeat(16) } });
    expect(span.status.code).toBe(2);
  });
});

test("200 overlapping requests of one trace id each keep their own spans", async () => {
  const traceparent = `00-${"4b".repeat(16)}-${"5c".repeat(8)}-01`;
  const run = async (index: number): Promise<FinishedTrace> => {
    const trace = start({ traceparent });
    const call = trace.root.child("gateway.admission", { kind: "client" });
    call.set({ "gateway.queue.position": index });
    await sleep(index % 7);
    call.child("gateway.queue.wait", { kind: "server" }).end();
    call.end();
    trace.root.end();
    return trace.finished;
  };
  const traces = await Promise.all(Array.from({ length: 200 }, (_, index) => run(index)));
  for (const [index, { spans }] of traces.entries()) {
    expect(spans).toHaveLength(3);
    expect(spans[1]?.attributes["gateway.queue.position"]).toBe(index);
  }
  expect(new Set(traces.flatMap(({ spans }) => spans.map(({ spanId }) => spanId))).size).toBe(600);
});

test("a trace can be read from the stores as soon as it is finished", async () => {
  const storeOf = (tenantId: string): TraceStorePort => env.TRACE_STORE.getByName(`telemetry-${tenantId}`);
  const posts: string[] = [];
  const exporter = createExporter({
    resource: { serviceName: "headgate", serviceVersion: "0.1.0" },
    operator: {
      name: "operator",
      url: "https://otlp.example/v1/traces",
      headers: {},
      gzip: true,
      preset: "otlp",
      content: "off",
    },
    outboxOf: (tenantId) => env.TRACE_OUTBOX.getByName(`telemetry-${tenantId}`),
    newId: () => crypto.randomUUID(),
    storeOf,
    fetch: async (_, { body }) => {
      const packed = body instanceof Uint8Array ? new Response(body).body : null;
      posts.push(await new Response(packed?.pipeThrough(new DecompressionStream("gzip"))).text());
      return Response.json({});
    },
    clock: Date.now,
    sleep,
    random: Math.random,
    timeoutSignal: (ms) => AbortSignal.timeout(ms),
  });
  const reader = createTraceReader({
    storeOf,
    listTenantIds: async () => ["acme", "globex"],
    flush: () => exporter.flushStores(),
  });
  const works: Promise<unknown>[] = [];
  const policy = {
    sampling: { sampleRatio: 1, alwaysKeep: [], slowMs: 1000 },
    store: { enabled: true, maxTraces: 10, maxAgeHours: 1, content: "off" as const },
    destinations: [],
  };
  const traceIds: string[] = [];
  for (const tenantId of ["acme", undefined]) {
    const trace = start();
    if (tenantId !== undefined) trace.setTenant(tenantId);
    for (let i = 0; i < 20; i++) trace.root.child("gateway.auth").end();
    trace.root.end();
    exporter.export(await trace.finished, tenantId === undefined ? undefined : policy, (work) =>
      works.push(work),
    );
    traceIds.push(trace.traceId);
  }
  for (const traceId of traceIds) {
    const elements = await reader.get(traceId);
    const body: unknown = JSON.parse(`{"resourceSpans":[${elements.join(",")}]}`);
    expect(checkTrace(body as object)).toEqual([]);
  }
  const list = await reader.search(parseTraceQuery(new URLSearchParams(), 0));
  expect(new Set(list.items.map(({ tenant }) => tenant))).toEqual(new Set(["acme", null]));
  await Promise.all(works);
  expect(posts).toHaveLength(1);
  for (const traceId of traceIds) expect(posts[0]).toContain(traceId);
});
