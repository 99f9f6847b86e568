// Stored traces as Jaeger's API gives them, and Jaeger's questions as searches of our store.
import { describe, expect, test } from "vitest";
import { toJaegerTrace } from "../../../../src/telemetry/jaeger/jaeger.ts";
import { parseJaegerQuery } from "../../../../src/telemetry/jaeger/jaeger-query.ts";
import { listOperations, searchJaeger } from "../../../../src/telemetry/jaeger/jaeger-search.ts";
import { encodeTrace, joinResourceSpans } from "../../../../src/telemetry/otlp/otlp.ts";
import { markTenants, readResourceSpans } from "../../../../src/telemetry/otlp/otlp-read.ts";
import { NEWEST } from "../../../../src/telemetry/store/store-query.ts";
import { summarize } from "../../../../src/telemetry/trace/summary.ts";
import type { FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import type { TraceReader } from "../../../../src/telemetry/store/trace-reader.ts";
import { checkOtlp } from "../../../support/checkers/otlp-proto.ts";
import { envelope } from "../../../support/checkers/flat-trace.ts";
import { startTrace } from "../../../support/fakes/fake-trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
} from "../../../support/builders/sample-traces.ts";

const SERVICE = "headgate";

const stored = (trace: FinishedTrace): string => envelope(encodeTrace(trace).spans);
const convert = (...traces: readonly FinishedTrace[]) =>
  toJaegerTrace(
    traces[0]?.traceId ?? "",
    traces.map((trace) => readResourceSpans(stored(trace))),
    SERVICE,
  );

describe("a trace in Jaeger's form", () => {
  test("has every span, with times in microseconds and a process that exists", async () => {
    const trace = await fallbackTrace();
    const { traceID, spans, processes } = convert(trace);
    expect(traceID).toBe(trace.traceId);
    expect(spans).toHaveLength(trace.spans.length);
    for (const [index, span] of trace.spans.entries()) {
      expect(spans[index]).toMatchObject({
        traceID: trace.traceId,
        spanID: span.spanId,
        operationName: span.name,
        startTime: span.startAt * 1000,
        duration: (span.endAt - span.startAt) * 1000,
      });
      expect(processes[spans[index]?.processID ?? ""]?.serviceName).toBe(SERVICE);
    }
  });

  test("has the parent as CHILD_OF and links as FOLLOWS_FROM, with what they mean in a log", async () => {
    const trace = await fallbackTrace();
    const { spans } = convert(trace);
    const wait = spans.find(({ operationName }) => operationName === "gateway.queue.wait");
    const admission = spans.find(({ operationName }) => operationName === "gateway.admission");
    expect(spans[0]?.references).toEqual([]);
    expect(wait?.references.map(({ refType, spanID }) => [refType, spanID])).toEqual([
      ["CHILD_OF", admission?.spanID],
      ["FOLLOWS_FROM", "b7ad6b7169203331"],
      ["FOLLOWS_FROM", "00f067aa0ba902b7"],
      ["FOLLOWS_FROM", "b7ad6b7169203331"],
    ]);
    const types = wait?.logs.map(
      ({ fields }) => fields.find(({ key }) => key === "gateway.link.type")?.value,
    );
    expect(types).toEqual(["queued_behind", "queued_behind", "admitted_by"]);
  });

  test("keeps the caller's span as the root's parent", async () => {
    const trace = await fallbackTrace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    expect(convert(trace).spans[0]?.references[0]).toEqual({
      refType: "CHILD_OF",
      traceID: "0af7651916cd43dd8448eb211c80319c",
      spanID: "b7ad6b7169203331",
    });
  });

  test("types its tags: text, flags, whole numbers, fractions, lists as JSON", async () => {
    const { spans } = convert(await fallbackTrace());
    const tagsOf = (name: string) => {
      const tags = spans.find(({ operationName }) => operationName === name)?.tags ?? [];
      return Object.fromEntries(tags.map(({ key, type, value }) => [key, [type, value]]));
    };
    expect(tagsOf("chat claude-haiku-4-5")).toMatchObject({
      "gen_ai.response.time_to_first_chunk": ["float64", 0.407],
      "gen_ai.response.finish_reasons": ["string", '["stop"]'],
      "gen_ai.usage.input_tokens": ["int64", 512],
      "span.kind": ["string", "client"],
    });
    expect(tagsOf("gateway.route")).toMatchObject({ "gateway.span.cpu_only": ["bool", true] });
    expect(tagsOf("chat gpt-4o-mini")).toMatchObject({
      error: ["bool", true],
      "otel.status_code": ["string", "ERROR"],
    });
    expect(tagsOf("gateway.admission")).not.toHaveProperty("error");
  });

  test("turns events into logs", async () => {
    const [root] = convert(await fallbackTrace()).spans;
    expect(root?.logs[0]?.fields[0]).toEqual({ key: "event", type: "string", value: "gateway.fallback" });
  });

  test("warns where a span was cut off or spans were left out", async () => {
    const setup = startTrace();
    setup.trace.root.set({ "gateway.span.truncated": true, "gateway.span.dropped_count": 7 });
    const [root] = convert(await setup.finish()).spans;
    expect(root?.warnings).toHaveLength(2);
    expect(root?.warnings?.join()).toContain("7 more spans");
    expect(convert(await plainTrace()).spans.every(({ warnings }) => warnings === null)).toBe(true);
  });

  test("is one trace where several requests share an id", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const [one, two] = [await fallbackTrace(traceparent), await fallbackTrace(traceparent)];
    expect(convert(one, two).spans).toHaveLength(one.spans.length + two.spans.length);
  });
});

describe("requests of several tenants under one trace id", () => {
  const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  /** Another tenant's request that names a span of the first one's as its parent. */
  async function shared() {
    const own = await fallbackTrace(PARENT);
    const foreign = await fallbackTrace(`00-${own.traceId}-${own.root.spanId}-01`);
    const of = (trace: FinishedTrace, tenant: string) =>
      readResourceSpans(
        stored(trace).replace(/(gateway\.tenant\.id","value":\{"stringValue":")[^"]+/, `$1${tenant}`),
      );
    return { own, foreign, requests: [of(own, "acme"), of(foreign, "mallory"), of(own, "acme")] };
  }

  test("are processes of their own, which hang on no span of another", async () => {
    const { own, foreign, requests } = await shared();
    const { spans, processes } = toJaegerTrace(own.traceId, requests, SERVICE);
    const tenantOfSpan = (id: string) =>
      spans
        .filter(({ spanID }) => spanID === id)
        .map(({ processID }) => processes[processID]?.tags[0]?.value);
    expect(Object.keys(processes)).toHaveLength(2);
    expect(tenantOfSpan(own.root.spanId)).toEqual(["acme", "acme"]);
    expect(tenantOfSpan(foreign.root.spanId)).toEqual(["mallory"]);
    for (const { references, processID } of spans)
      for (const { refType, spanID } of references) {
        const parents = spans.filter((span) => span.spanID === spanID);
        if (refType === "CHILD_OF")
          expect(new Set(parents.map((span) => span.processID))).toEqual(new Set([processID]));
      }
  });

  test("of one tenant alone hang on the caller's span", async () => {
    const { own, requests } = await shared();
    const { spans, processes } = toJaegerTrace(own.traceId, requests.slice(0, 1), SERVICE);
    expect(spans[0]?.references[0]).toMatchObject({ refType: "CHILD_OF", spanID: "b7ad6b7169203331" });
    expect(processes).toEqual({ p1: { serviceName: SERVICE, tags: [] } });
  });

  test("all turn up in a search: the newest hides none", async () => {
    const { own, foreign } = await shared();
    const rows = [
      { trace: foreign, tenant: "mallory" },
      { trace: own, tenant: "acme" },
    ];
    const reader: Pick<TraceReader, "search" | "get"> = {
      search: async () => ({
        items: rows.map(({ trace, tenant }) => ({ ...summarize(trace), tenant })),
        cursor: undefined,
      }),
      get: async (_, asked) =>
        rows.filter(({ tenant }) => tenant === asked).map(({ trace }) => stored(trace)),
    };
    const query = parseJaegerQuery(new URLSearchParams(`service=${SERVICE}`));
    const [found, ...more] = await searchJaeger(query, reader, SERVICE);
    expect(more).toEqual([]);
    expect(found?.spans).toHaveLength(own.spans.length + foreign.spans.length);
  });

  test("name their tenant in the OTLP too, which stays valid", async () => {
    const { own, foreign } = await shared();
    const elements = [
      stored(own),
      stored(foreign).replace(/(gateway\.tenant\.id","value":\{"stringValue":")[^"]+/, '$1mall\\"ory'),
    ];
    expect(markTenants(elements.slice(0, 1))).toEqual(elements.slice(0, 1));
    expect(markTenants([stored(own), stored(own)])).toEqual([stored(own), stored(own)]);
    const marked = JSON.parse(joinResourceSpans(markTenants(elements))) as {
      resourceSpans: readonly { resource: { attributes: readonly object[] } }[];
    };
    expect(checkOtlp(marked)).toEqual([]);
    expect(marked.resourceSpans.map(({ resource }) => resource.attributes[0])).toEqual([
      { key: "gateway.tenant.id", value: { stringValue: "acme" } },
      { key: "gateway.tenant.id", value: { stringValue: 'mall"ory' } },
    ]);
  });
});

describe("Jaeger's parameters", () => {
  const parse = (text: string) => parseJaegerQuery(new URLSearchParams(text));

  test("become the filters that the store has columns for; the rest is asked of the spans", () => {
    const tags = JSON.stringify({
      "http.status_code": "429",
      "gateway.tenant.id": "acme",
      model: "gpt-4o-mini",
      "gateway.cache.status": "hit",
    });
    const query = parse(`service=headgate&operation=&limit=20&tags=${encodeURIComponent(tags)}`);
    expect(query).toEqual({
      service: "headgate",
      operation: undefined,
      tenant: "acme",
      filters: { status: 429, model: "gpt-4o-mini" },
      tags: new Map([["gateway.cache.status", "hit"]]),
      limit: 20,
    });
  });

  test("know an error as the store does, and compare it themselves beside a status", () => {
    expect(parse('service=s&tags={"error":"true"}')).toMatchObject({
      filters: { status: "error" },
      tags: new Map(),
    });
    expect(parse('service=s&tags={"error":true,"http.status_code":429}')).toMatchObject({
      filters: { status: 429 },
      tags: new Map([["error", "true"]]),
    });
    expect(parse("service=s&tag=error:false").tags).toEqual(new Map([["error", "false"]]));
  });

  test.each([
    ["10ms", 10],
    ["1.5s", 1500],
    ["1m30s", 90_000],
    ["1500us", 2],
    ["250µs", 1],
    ["2h", 7_200_000],
  ])("read the duration %s as %d ms at least", (text, ms) => {
    expect(parse(`service=s&minDuration=${text}`).filters.minMs).toBe(ms);
  });

  test("read times in microseconds, and keep what starts in the last one", () => {
    const { filters } = parse(
      "service=s&start=1795600000123001&end=1795600009999999&maxDuration=1.5ms&lookback=1h",
    );
    expect(filters).toEqual({ sinceAt: 1_795_600_000_124, untilAt: 1_795_600_010_000, maxMs: 1 });
  });

  test("hold a limit to what one answer can carry", () => {
    expect(parse("service=s&limit=15000").limit).toBe(200);
    expect(parse("service=s").limit).toBe(100);
  });

  test.each([
    ["", "service"],
    ["service=s&tags=error", "tags"],
    ["service=s&tags=[1]", "tags"],
    ['service=s&tags={"a":{}}', "tags"],
    ["service=s&tag=error", "tag"],
    ["service=s&minDuration=10", "minDuration"],
    ["service=s&maxDuration=fast", "maxDuration"],
    ["service=s&start=yesterday", "start"],
    ["service=s&limit=0", "limit"],
    ['service=s&tags={"http.status_code":"bad"}', "http.status_code"],
    ['service=s&tags={"gateway.tenant.id":"../x"}', "gateway.tenant.id"],
  ])("are refused by name: %s", (text, param) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ details: { param } }));
  });
});

describe("a search", () => {
  /** A reader over these traces, newest first, that answers as the store would without filters. */
  function readerOf(traces: readonly FinishedTrace[]) {
    const opened: string[] = [];
    const reader: Pick<TraceReader, "search" | "get"> = {
      async search({ limit, cursor }) {
        const from = cursor === undefined ? 0 : NEWEST - cursor.position;
        const items = traces.slice(from, from + limit).map(summarize);
        const isLast = from + limit >= traces.length;
        return { items, cursor: isLast ? undefined : { position: NEWEST - from - limit, tenant: "acme" } };
      },
      async get(traceId) {
        opened.push(traceId);
        return traces.filter((trace) => trace.traceId === traceId).map(stored);
      },
    };
    return { reader, opened };
  }

  const search = (text: string, reader: Pick<TraceReader, "search" | "get">) =>
    searchJaeger(parseJaegerQuery(new URLSearchParams(`service=${SERVICE}&${text}`)), reader, SERVICE);
  const idsOf = (traces: readonly { readonly traceID: string }[]) => traces.map(({ traceID }) => traceID);

  test("opens no more traces than it gives where the store's columns say all", async () => {
    const traces = await Promise.all(Array.from({ length: 30 }, () => plainTrace()));
    const { reader, opened } = readerOf(traces);
    const found = await search("limit=7", reader);
    expect(idsOf(found)).toEqual(traces.slice(0, 7).map(({ traceId }) => traceId));
    expect(opened).toHaveLength(7);
  });

  test("finds by an operation or a tag that only spans have", async () => {
    const [fallback, hit, refused] = [await fallbackTrace(), await cacheHitTrace(), await refusedTrace()];
    const { reader } = readerOf([fallback, hit, refused]);
    expect(idsOf(await search("operation=gateway.queue.wait", reader))).toEqual([fallback.traceId]);
    expect(idsOf(await search('tags={"gateway.attempt.reason":"fallback"}', reader))).toEqual([
      fallback.traceId,
    ]);
    expect(idsOf(await search('tags={"gateway.limit.value":60}', reader))).toEqual([refused.traceId]);
    expect(idsOf(await search('tags={"gateway.outcome":"cache_hit"}', reader))).toEqual([hit.traceId]);
    expect(idsOf(await search('tags={"error":"false"}', reader))).toEqual([fallback.traceId, hit.traceId]);
  });

  test("goes on to later pages for what is rare, and ends when it has looked at enough", async () => {
    const many = await Promise.all(Array.from({ length: 450 }, () => plainTrace()));
    const rare = await refusedTrace();
    const near = readerOf([...many.slice(0, 150), rare]);
    expect(idsOf(await search('tags={"gateway.limit.value":60}', near.reader))).toEqual([rare.traceId]);
    const byOutcome = readerOf([...many, rare]);
    expect(idsOf(await search('tags={"gateway.outcome":"rejected"}', byOutcome.reader))).toEqual([
      rare.traceId,
    ]);
    expect(byOutcome.opened).toEqual([rare.traceId]);
    const far = readerOf([...many, rare]);
    expect(await search('tags={"gateway.limit.value":60}', far.reader)).toEqual([]);
    expect(far.opened).toHaveLength(200);
  });

  test("gives a trace once, though it has several requests", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const { reader } = readerOf([await fallbackTrace(traceparent), await fallbackTrace(traceparent)]);
    expect(await search("", reader)).toHaveLength(1);
  });

  test("of another service finds nothing", async () => {
    const { reader } = readerOf([await plainTrace()]);
    const query = parseJaegerQuery(new URLSearchParams("service=other"));
    expect(await searchJaeger(query, reader, SERVICE)).toEqual([]);
  });

  test("knows the operations: all of ours, and the models in use", async () => {
    const { reader } = readerOf([await fallbackTrace()]);
    const operations = await listOperations(reader);
    expect(operations).toContainEqual({ name: "chat gpt-4o-mini", spanKind: "client" });
    expect(operations).toContainEqual({ name: "POST /v1/chat/completions", spanKind: "server" });
    expect(operations).toContainEqual({ name: "gateway.cache.store", spanKind: "client" });
    expect(new Set(operations.map(({ name }) => name)).size).toBe(operations.length);
  });
});
