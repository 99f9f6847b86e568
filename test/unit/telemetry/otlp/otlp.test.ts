import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ATTRIBUTES,
  type AttributeName,
  type AttributeValue,
} from "../../../../src/telemetry/trace/attributes.ts";
import { encodeTrace, joinResourceSpans, SCHEMA_URL } from "../../../../src/telemetry/otlp/otlp.ts";
import { readResourceSpans } from "../../../../src/telemetry/otlp/otlp-read.ts";
import type { FinishedSpan, FinishedTrace } from "../../../../src/telemetry/trace/trace.ts";
import { checkOtlp } from "../../../support/checkers/otlp-proto.ts";
import { flattenSpans } from "../../../support/checkers/otlp-spans.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { asFlat, envelope, exportBody } from "../../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";
import {
  cacheHitTrace,
  fallbackTrace,
  plainTrace,
  refusedTrace,
} from "../../../support/builders/sample-traces.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("an export", () => {
  test("is valid against the protocol, and every trace in it keeps the invariants", async () => {
    const traces = [await fallbackTrace(), await cacheHitTrace(), await refusedTrace(), await plainTrace()];
    const body: unknown = JSON.parse(exportBody(traces));
    expect(checkOtlp(body)).toEqual([]);
    for (const trace of traces) expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("says whose spans they are, and in which version of the names", async () => {
    const [span] = asFlat(await plainTrace());
    expect(span).toMatchObject({
      scope: "headgate",
      resource: {
        "service.name": "headgate",
        "service.version": "0.1.0",
        "telemetry.sdk.name": "@microlabs/otel-cf-workers",
      },
    });
    expect(exportBody([await plainTrace()]).split(`"schemaUrl":"${SCHEMA_URL}"`)).toHaveLength(3);
  });

  test("has one envelope around the spans of many requests", async () => {
    const body = JSON.parse(exportBody([await plainTrace(), await plainTrace()])) as {
      resourceSpans: unknown[];
    };
    expect(body.resourceSpans).toHaveLength(1);
  });
});

describe("a span on the wire", () => {
  async function wire(attributes: Readonly<Partial<Record<AttributeName, AttributeValue>>>): Promise<string> {
    return exportBody([await startTrace({ attributes }).finish()]);
  }

  test("has times in nanoseconds as decimal text", async () => {
    const body = await wire({});
    expect(body).toContain(`"startTimeUnixNano":"${NOON}000000"`);
  });

  test("has whole numbers as decimal text and fractions as numbers", async () => {
    const body = await wire({ "gateway.ttfb_ms": 41, "gateway.cost.usd": 0.0031 });
    expect(body).toContain('{"key":"gateway.ttfb_ms","value":{"intValue":"41"}}');
    expect(body).toContain('{"key":"gateway.cost.usd","value":{"doubleValue":0.0031}}');
  });

  test("keeps one type per name: a cost of 1 is still a double", async () => {
    const body = await wire({ "gateway.cost.usd": 1, "gen_ai.response.time_to_first_chunk": 2 });
    expect(body).toContain('{"key":"gateway.cost.usd","value":{"doubleValue":1}}');
    expect(body).toContain('{"key":"gen_ai.response.time_to_first_chunk","value":{"doubleValue":2}}');
  });

  test("has a number beyond 64 bits as a double", async () => {
    const body = await wire({ "gateway.stream.bytes": 1e21 });
    expect(body).toContain('"doubleValue":1e+21');
    expect(checkOtlp(JSON.parse(body))).toEqual([]);
  });

  test("has no status unless it is an error", async () => {
    expect(await wire({ "http.response.status_code": 429 })).not.toContain('"status"');
    expect(await wire({ "http.response.status_code": 502 })).toContain('"status":{"code":2}');
  });

  test("says how much the caps left out", async () => {
    const setup = startTrace();
    for (let i = 0; i < 33; i++) setup.trace.root.event("gateway.stream.stall");
    expect(exportBody([await setup.finish()])).toContain('"droppedEventsCount":1');
  });
});

describe("a remote parent", () => {
  test("stays the parent for the tenant, who may hold the other half", async () => {
    const trace = await fallbackTrace(PARENT);
    const [root] = flattenSpans(JSON.parse(joinResourceSpans([envelope(encodeTrace(trace).spans)])));
    expect(root).toMatchObject({ parentSpanId: "00f067aa0ba902b7", links: [] });
  });

  test("becomes a link for the operator, whose trace has a root of its own", async () => {
    const trace = await fallbackTrace(PARENT);
    const spans = flattenSpans(JSON.parse(joinResourceSpans([envelope(encodeTrace(trace).rootedSpans)])));
    expect(spans[0]?.parentSpanId).toBeUndefined();
    expect(spans[0]?.links).toEqual([
      {
        traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
        spanId: "00f067aa0ba902b7",
        attributes: { "gateway.link.type": "client_parent" },
      },
    ]);
    expect(spans).toHaveLength(trace.spans.length);
    expect(checkTrace(spans)).toEqual([]);
  });

  test("where there is none, both forms are one text", async () => {
    const { spans, rootedSpans } = encodeTrace(await plainTrace());
    expect(spans).toBe(rootedSpans);
  });
});

test("what was encoded can be read back for the waterfall", async () => {
  for (const trace of [await fallbackTrace(PARENT), await cacheHitTrace(), await refusedTrace()]) {
    const read = readResourceSpans(envelope(encodeTrace(trace).spans));
    expect(read).toEqual({ spans: trace.spans, hasRemoteParent: trace.hasRemoteParent });
  }
});

const names = Object.keys(ATTRIBUTES) as (keyof typeof ATTRIBUTES)[];
const value = fc.oneof(
  fc.string({ unit: "binary" }).filter((text) => text !== ""),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.string({ unit: "grapheme" }), { minLength: 1 }),
);
const attributes = fc.dictionary(fc.constantFrom(...names, 'gateway.metadata."q\\'), value, {
  noNullPrototype: true,
});
const spanId = fc.bigInt(1n, 2n ** 64n - 1n).map((id) => id.toString(16).padStart(16, "0"));
const span: fc.Arbitrary<FinishedSpan> = fc
  .record({
    spanId,
    name: fc.string({ unit: "binary", minLength: 1 }),
    kind: fc.constantFrom("internal", "server", "client"),
    startAt: fc.integer({ min: 1, max: 4e12 }),
    lastedMs: fc.integer({ min: 0, max: 1e9 }),
    attributes,
    isError: fc.boolean(),
    links: fc.array(fc.record({ traceId: fc.constant("c".repeat(32)), spanId, attributes }), {
      maxLength: 2,
    }),
    eventAttributes: fc.array(attributes, { maxLength: 2 }),
  })
  .map(({ lastedMs, eventAttributes, ...rest }) => ({
    ...rest,
    traceId: "a".repeat(32),
    endAt: rest.startAt + lastedMs,
    events: eventAttributes.map((own) => ({ name: "gateway.retry", at: rest.startAt, attributes: own })),
  }));

test("any span at all is valid OTLP/JSON and reads back as it was", () => {
  fc.assert(
    fc.property(fc.array(span, { minLength: 1, maxLength: 4 }), (spans) => {
      const [root] = spans;
      if (root === undefined) return;
      const trace: FinishedTrace = {
        traceId: root.traceId,
        tenantId: "t",
        root,
        spans,
        hasRemoteParent: false,
      };
      expect(checkOtlp(JSON.parse(exportBody([trace])))).toEqual([]);
      const read = readResourceSpans(envelope(encodeTrace(trace).spans)).spans;
      expect(JSON.stringify(read.map(sorted))).toBe(JSON.stringify(spans.map(sorted)));
    }),
    { numRuns: 200 },
  );
});

/** With a fixed order of members, for comparison as text: -0 and 0 are the same number on the wire. */
function sorted({
  traceId,
  spanId: id,
  name,
  kind,
  startAt,
  endAt,
  attributes: own,
  events,
  links,
  isError,
}: FinishedSpan) {
  return { traceId, id, name, kind, startAt, endAt, own, events, links, isError };
}

test("a span of no time ends a nanosecond after its start, and reads back as none", async () => {
  const setup = startTrace();
  setup.trace.root.child("gateway.auth").end();
  setup.trace.root.end();
  const [root] = asFlat(await setup.trace.finished);
  if (root === undefined) throw new Error("no span");
  expect(BigInt(root.endTimeUnixNano) - BigInt(root.startTimeUnixNano)).toBe(1n);
  const read = readResourceSpans(envelope(encodeTrace(await setup.trace.finished).spans));
  for (const { startAt, endAt } of read.spans) expect(endAt).toBe(startAt);
});
