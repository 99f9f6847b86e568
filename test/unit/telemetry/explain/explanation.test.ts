import { describe, expect, test } from "vitest";
import { explainStored, explanationText } from "../../../../src/telemetry/explain/explanation.ts";
import { encodeTrace } from "../../../../src/telemetry/otlp/otlp.ts";
import type { TraceContext } from "../../../../src/telemetry/store/stored-trace.ts";
import { addMeasured, createBaseline } from "../../../../src/telemetry/usual/baseline.ts";
import { measure, type MeasuredRequest, msOf } from "../../../../src/telemetry/usual/measure.ts";
import { envelope } from "../../../support/checkers/flat-trace.ts";
import { cacheHitTrace, fallbackTrace, refusedTrace } from "../../../support/builders/sample-traces.ts";

const trace = await fallbackTrace();
const own = measure(trace.spans);
if (own === undefined) throw new Error("nothing was measured");
const FACTS = { keyName: (id: string) => `name of ${id}`, slotsOf: () => undefined };

const contextOf = (spans: string, more: Partial<TraceContext> = {}): TraceContext => ({
  otlp: envelope(spans),
  usual: undefined,
  neighbours: [],
  partner: undefined,
  linked: [],
  overtakenBy: 0,
  ...more,
});
const explained = (more: Partial<TraceContext> = {}) => {
  const found = explainStored(contextOf(encodeTrace(trace).spans, more), FACTS);
  if (found === undefined) throw new Error("nothing was explained");
  return found;
};

/** The same request without a wait and without failed attempts, and with another time to its first token. */
const calm = (firstMs: number): MeasuredRequest => {
  const answerMs = msOf(own.parts, "answer");
  return {
    ...own,
    durationMs: firstMs + answerMs,
    parts: [
      { kind: "first_token", ms: firstMs },
      { kind: "answer", ms: answerMs },
    ],
  };
};
function usualOf(requests: readonly MeasuredRequest[]): TraceContext["usual"] {
  const route = createBaseline();
  for (const request of requests) addMeasured(route, request);
  return { isOfHour: true, route, target: route, mainTarget: own?.target ?? "" };
}
const FIRST_MS = msOf(own.parts, "first_token");
const sumOf = (of: readonly { readonly ms: number }[]): number => of.reduce((sum, { ms }) => sum + ms, 0);

describe("an explanation", () => {
  test("adds up to what is above the usual, the longest cause first", () => {
    const found = explained({ usual: usualOf(Array.from({ length: 30 }, () => calm(FIRST_MS))) });
    expect(found.causes.map(({ kind }) => kind)).toEqual(["own_limit", "fallback", "unknown"]);
    expect(sumOf(found.causes)).toBe(found.differenceMs);
    expect(sumOf(found.time)).toBe(found.tookMs);
    expect(found.text).toMatch(/^It waited 400 ms in the queue.*; usually such a request takes/);
  });

  test("calls nothing slow where too few requests are known", () => {
    const found = explained();
    expect(found).toMatchObject({ usual: null, differenceMs: null });
    expect(found.causes.map(({ kind }) => kind)).toEqual(["own_limit", "fallback"]);
    expect(explanationText(found)).toContain("Too few requests of this route");
  });

  test("calls the upstream slow for all where the requests around it were slow too", () => {
    const usual = usualOf(Array.from({ length: 30 }, () => calm(Math.round(FIRST_MS / 8))));
    const around = (firstMs: number) => Array.from({ length: 5 }, () => calm(firstMs));
    const kindsOf = (neighbours: readonly MeasuredRequest[]) =>
      explained({ usual, neighbours }).causes.map(({ kind }) => kind);
    expect(kindsOf(around(FIRST_MS))).toContain("upstream_for_all");
    expect(kindsOf(around(Math.round(FIRST_MS / 8)))).toContain("upstream_here");
    expect(kindsOf(around(Math.round(FIRST_MS / 8)))).not.toContain("upstream_for_all");
  });

  test("names who held the slots, by the names of their keys", () => {
    const behind = trace.spans
      .flatMap(({ links }) => links)
      .filter(({ attributes }) => attributes["gateway.link.type"] === "queued_behind")
      .map(({ traceId }) => ({ traceId, keyId: "k7", route: "r", startedAt: 0, durationMs: 1 }));
    const found = explained({ linked: behind });
    expect(found.text).toContain("all held by the key name of k7");
    expect(found.keys).toMatchObject({ k7: "name of k7" });
    expect(found.links.map(({ traceId }) => traceId)).toEqual(found.causes[0]?.traceIds);
  });

  test("divides the money to the last micro-dollar, failed calls apart", () => {
    const cost = trace.root.attributes["gateway.cost.usd"];
    const micro = (explained().money ?? []).reduce((sum, { usd }) => sum + Math.round(usd * 1e6), 0);
    expect(micro).toBe(Math.round(Number(cost) * 1e6));
  });

  test("puts a refusal first, and compares neither it nor a hit with what is usual", async () => {
    const usual = usualOf(Array.from({ length: 30 }, () => calm(FIRST_MS)));
    const refused = explainStored(contextOf(encodeTrace(await refusedTrace()).spans, { usual }), FACTS);
    expect(refused?.causes[0]).toMatchObject({ kind: "refused", ms: 0 });
    expect(refused?.differenceMs).toBeNull();
    const hit = explainStored(contextOf(encodeTrace(await cacheHitTrace()).spans, { usual }), FACTS);
    expect(hit?.text).toMatch(/^Answered from the cache/);
    expect(hit?.differenceMs).toBeNull();
  });
});
