import { describe, expect, test } from "vitest";
import type { FlatSpan } from "../../../support/checkers/otlp-spans.ts";
import { checkTrace, splitRequests } from "../../../support/checkers/trace-invariants.ts";
import { asFlat, exportBody } from "../../../support/checkers/flat-trace.ts";
import { fallbackTrace, plainTrace, refusedTrace } from "../../../support/builders/sample-traces.ts";

const good = await fallbackTrace();
const spans = asFlat(good);

/** The good trace with one span changed. */
function spoil(
  name: string,
  change: (span: FlatSpan) => Partial<FlatSpan> & { readonly flags?: number },
): readonly FlatSpan[] {
  return spans.map((span) => (span.name === name ? { ...span, ...change(span) } : span));
}

const ROOT = "POST /v1/chat/completions";
const withAttribute = (name: string, value: FlatSpan["attributes"][string]) => (span: FlatSpan) => ({
  attributes: { ...span.attributes, [name]: value },
});

const withoutAttribute = (name: string) => (span: FlatSpan) => ({
  attributes: Object.fromEntries(Object.entries(span.attributes).filter(([own]) => own !== name)),
});

describe("the checker of traces", () => {
  test("finds nothing wrong with a good trace, flat or as OTLP/JSON", () => {
    expect(checkTrace(spans)).toEqual([]);
    expect(checkTrace(JSON.parse(exportBody([good])) as object)).toEqual([]);
  });

  test("lets content and a back end's own names pass only where the place gets them, and content only as JSON", () => {
    const withContent = spoil("gateway.auth", withAttribute("gen_ai.input.messages", "[]"));
    const withOwn = spoil("gateway.auth", withAttribute("langfuse.observation.type", "span"));
    const broken = spoil("gateway.auth", withAttribute("gen_ai.input.messages", "[{"));
    for (const changed of [withContent, withOwn]) {
      expect(checkTrace(changed)).toEqual([expect.stringContaining("is not listed")]);
      expect(checkTrace(changed, { gets: ["content", "langfuse"] })).toEqual([]);
    }
    expect(checkTrace(withContent, { gets: ["langfuse"] })).toEqual([
      expect.stringContaining("is not listed"),
    ]);
    expect(checkTrace(broken, { gets: ["content"] })).toEqual([expect.stringContaining("is not JSON")]);
  });

  test.each<[string, readonly FlatSpan[], RegExp]>([
    ["no spans", [], /no root/],
    [
      "a missing parent",
      spans.filter(({ name }) => name !== "gateway.admission"),
      /queue.wait: is a second root/,
    ],
    [
      "a parent that is neither here nor remote",
      spoil(ROOT, () => ({ parentSpanId: "c".repeat(16) })),
      /not marked as remote/,
    ],
    ["a span twice", [...spans, ...spans.slice(1, 2)], /two spans have one id/],
    ["a foreign trace id", spoil("gateway.auth", () => ({ traceId: "b".repeat(32) })), /another trace id/],
    ["a malformed id", spoil("gateway.auth", () => ({ spanId: "0".repeat(16) })), /no span id/],
    ["an end before the start", spoil("gateway.auth", () => ({ endTimeUnixNano: "1000000" })), /ends before/],
    [
      "made-up precision",
      spoil("gateway.auth", (s) => ({ endTimeUnixNano: s.endTimeUnixNano.replace(/.$/, "7") })),
      /whole milliseconds/,
    ],
    [
      "a start before the parent's",
      spoil("gateway.queue.wait", () => ({ startTimeUnixNano: "1000000" })),
      /starts before its parent/,
    ],
    [
      "an end after the parent's",
      spoil("gateway.queue.wait", () => ({ endTimeUnixNano: "9000000000000000000" })),
      /ends after its parent/,
    ],
    [
      "an unlisted attribute",
      spoil("gateway.auth", withAttribute("http.request.header.cookie", "x")),
      /'http.request.header.cookie' is not listed/,
    ],
    ["an empty value", spoil("gateway.auth", withAttribute("gateway.auth.source", "")), /empty value/],
    ["a null value", spoil("gateway.auth", withAttribute("gateway.auth.source", null)), /empty value/],
    ["an unlisted span", spoil("gateway.auth", () => ({ name: "gateway.secret" })), /not a listed span/],
    ["the wrong kind", spoil("gateway.auth", () => ({ kind: 3 })), /kind internal/],
    ["a root that is not SERVER", spoil(ROOT, () => ({ kind: 1 })), /not SERVER/],
    ["a raw path as root name", spoil(ROOT, () => ({ name: "fetchHandler POST" })), /no name of a root/],
    [
      "an attempt with another model's name",
      spoil("chat gpt-4o-mini", () => ({ name: "chat x" })),
      /should be named/,
    ],
    ["no outcome", spoil(ROOT, withoutAttribute("gateway.outcome")), /on 0 spans/],
    ["two outcomes", spoil("gateway.auth", withAttribute("gateway.outcome", "ok")), /on 2 spans/],
    [
      "the same place in the order twice",
      spoil("gateway.auth", withAttribute("gateway.span.seq", 2)),
      /occurs twice/,
    ],
    [
      "no place in the order",
      spoil("gateway.auth", withoutAttribute("gateway.span.seq")),
      /no gateway.span.seq/,
    ],
    ["a child before its parent", spoil(ROOT, withAttribute("gateway.span.seq", 99)), /not above its parent/],
    [
      "an unlisted event",
      spoil("gateway.auth", (s) => ({
        events: [{ name: "log", timeUnixNano: s.startTimeUnixNano, attributes: {} }],
      })),
      /event 'log' is not listed/,
    ],
    [
      "an event outside of its span",
      spoil("gateway.auth", () => ({
        events: [{ name: "gateway.retry", timeUnixNano: "1000000", attributes: {} }],
      })),
      /outside/,
    ],
    [
      "a link of no type",
      spoil("gateway.auth", () => ({
        links: [{ traceId: good.traceId, spanId: "c".repeat(16), attributes: {} }],
      })),
      /type 'undefined'/,
    ],
  ])("sees %s", (_, spoiled, fault) => {
    expect(checkTrace(spoiled).join("\n")).toMatch(fault);
  });

  test("resolves links when it is given the other traces", async () => {
    const faults = checkTrace(spans, { others: asFlat(await plainTrace()) });
    expect(faults).toHaveLength(3);
    expect(faults[0]).toMatch(/queued_behind link points at a span that does not exist/);
    const others = spans.flatMap(({ links }) =>
      links.map((link) => ({ ...link, name: "x" }) as unknown as FlatSpan),
    );
    expect(checkTrace(spans, { others })).toEqual([]);
  });

  test("lets only work after the response outlive the root", () => {
    const record = spans.find(({ name }) => name === "gateway.usage.record");
    expect(BigInt(record?.endTimeUnixNano ?? 0)).toBeGreaterThan(BigInt(spans[0]?.endTimeUnixNano ?? 0));
    const late = spoil("gateway.cache.lookup", () => ({ endTimeUnixNano: record?.endTimeUnixNano ?? "" }));
    expect(checkTrace(late)).toEqual([expect.stringMatching(/^gateway.cache.lookup: ends after its parent/)]);
  });
});

test("requests that share a trace id stay apart", async () => {
  const [a, b] = [await plainTrace(), await refusedTrace()];
  const mixed = asFlat(a, b).toSorted((x, y) => (x.name < y.name ? -1 : 1));
  const requests = splitRequests(mixed);
  expect(new Set(requests.map((own) => own.length))).toEqual(new Set([a.spans.length, b.spans.length]));
  for (const request of requests) expect(checkTrace(request)).toEqual([]);
});
