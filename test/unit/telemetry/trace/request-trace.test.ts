import { describe, expect, test } from "vitest";
import { SPAN_GRACE_MS } from "../../../../src/telemetry/trace/request-trace.ts";
import type { SpanAttributes } from "../../../../src/telemetry/trace/attributes.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("a request's trace", () => {
  test("holds the root first and every span with its place in the order", async () => {
    const rig = startTrace();
    const auth = rig.trace.root.child("gateway.auth");
    rig.pass(2);
    auth.end();
    const admission = rig.trace.root.child("gateway.admission", { kind: "client" });
    admission.child("gateway.queue.wait", { kind: "server" }).end();
    admission.end();
    const { root, spans } = await rig.finish();
    expect(spans[0]).toBe(root);
    expect(spans.map(({ name }) => name)).toEqual([
      "POST /v1/chat/completions",
      "gateway.auth",
      "gateway.admission",
      "gateway.queue.wait",
    ]);
    expect(spans.map(({ attributes }) => attributes["gateway.span.seq"])).toEqual([0, 1, 2, 3]);
    expect(spans[3]?.parentSpanId).toBe(admission.ref.spanId);
    expect(spans[1]).toMatchObject({ startAt: NOON, endAt: NOON + 2, parentSpanId: root.spanId });
  });

  test("is finished only when the last span has ended, also one that outlives the root", async () => {
    const rig = startTrace();
    const record = rig.trace.root.child("gateway.usage.record", { kind: "client" });
    rig.trace.root.set({ "gateway.outcome": "ok" }).end();
    let isFinished = false;
    void rig.trace.finished.then(() => (isFinished = true));
    await Promise.resolve();
    expect(isFinished).toBe(false);
    rig.pass(5);
    record.end();
    const trace = await rig.trace.finished;
    expect(trace.root.endAt).toBe(NOON);
    expect(trace.spans[1]?.endAt).toBe(NOON + 5);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("takes work that begins right behind the root's end", async () => {
    const rig = startTrace();
    rig.trace.root.end();
    rig.trace.root.child("gateway.cache.store", { kind: "client" }).end();
    expect((await rig.trace.finished).spans).toHaveLength(2);
  });

  test("ignores what comes after it has left", async () => {
    const rig = startTrace();
    const trace = await rig.finish();
    const late = rig.trace.root.child("gateway.cache.store");
    late.set({ "gateway.outcome": "ok" }).fail("late").end();
    expect(late.child("gateway.auth").ref).toEqual(rig.trace.root.ref);
    expect(trace.spans).toHaveLength(1);
  });

  test("cuts off spans that are still open after the grace and marks them", async () => {
    const rig = startTrace();
    const stuck = rig.trace.root.child("gateway.usage.record", { kind: "client" });
    rig.trace.root.set({ "gateway.outcome": "ok" }).end();
    rig.pass(SPAN_GRACE_MS);
    expect(rig.wake()).toEqual([SPAN_GRACE_MS]);
    const trace = await rig.trace.finished;
    expect(trace.spans[1]).toMatchObject({
      spanId: stuck.ref.spanId,
      endAt: NOON + SPAN_GRACE_MS,
      attributes: { "gateway.span.truncated": true },
    });
    expect(trace.root.attributes).not.toHaveProperty("gateway.span.truncated");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("asks for no timer when everything ended with the root", async () => {
    const rig = startTrace();
    rig.trace.root.child("gateway.auth").end();
    await rig.finish();
    expect(rig.wake()).toEqual([]);
  });

  test("joins the caller's trace and says that the parent is remote", async () => {
    const rig = startTrace({ traceparent: PARENT });
    rig.trace.root.set({ "gateway.outcome": "ok" });
    const trace = await rig.finish();
    expect(trace).toMatchObject({ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", hasRemoteParent: true });
    expect(trace.root.parentSpanId).toBe("00f067aa0ba902b7");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("starts a trace of its own after a garbage traceparent", async () => {
    const trace = await startTrace({ traceparent: `${PARENT}-more` }).finish();
    expect(trace).toMatchObject({ hasRemoteParent: false });
    expect(trace.root.parentSpanId).toBeUndefined();
  });

  test("keeps overlapping requests of one trace id apart", async () => {
    const rigs = [startTrace({ traceparent: PARENT }), startTrace({ traceparent: PARENT })] as const;
    const [a, b] = rigs;
    const call = a.trace.root.child("gateway.admission", { kind: "client" });
    b.trace.root.child("gateway.auth").end();
    const finishedB = await b.finish();
    a.pass(800);
    call.end();
    const finishedA = await a.finish();
    expect(finishedB.spans.map(({ name }) => name)).toEqual(["POST /v1/chat/completions", "gateway.auth"]);
    expect(finishedA.spans[1]).toMatchObject({ name: "gateway.admission", endAt: NOON + 800 });
  });

  test("knows its tenant once it is set", async () => {
    const rig = startTrace();
    rig.trace.setTenant("acme");
    expect((await rig.finish()).tenantId).toBe("acme");
    expect((await startTrace().finish()).tenantId).toBeUndefined();
  });
});

describe("a span", () => {
  test("takes nothing after its end", async () => {
    const rig = startTrace();
    const span = rig.trace.root.child("gateway.auth");
    span.end(NOON + 3);
    span
      .set({ "gateway.auth.result": "ok" })
      .fail("x")
      .event("gateway.retry")
      .link(span.ref, "queued_behind");
    span.end(NOON + 9);
    const { spans } = await rig.finish();
    expect(spans[1]).toMatchObject({
      endAt: NOON + 3,
      isError: false,
      events: [],
      links: [],
      attributes: { "gateway.span.seq": 1 },
    });
  });

  test("leaves undefined attributes out", async () => {
    const rig = startTrace({ attributes: { "gateway.outcome": "ok", "gateway.key.id": undefined } });
    rig.trace.root.set({ "gateway.tenant.id": undefined });
    const { root } = await rig.finish();
    expect(root.attributes).toEqual({ "gateway.span.seq": 0, "gateway.outcome": "ok" });
  });

  test("keeps its own copy of a list", async () => {
    const rig = startTrace();
    const reasons = ["stop"];
    rig.trace.root.set({ "gen_ai.response.finish_reasons": reasons });
    reasons.push("changed");
    expect((await rig.finish()).root.attributes["gen_ai.response.finish_reasons"]).toEqual(["stop"]);
  });

  test("never starts before its parent and never ends before its start", async () => {
    const rig = startTrace();
    rig.trace.root.child("gateway.queue.wait", { kind: "server", startAt: NOON - 50 }).end(NOON - 80);
    const { spans } = await rig.finish();
    expect(spans[1]).toMatchObject({ startAt: NOON, endAt: NOON });
  });

  test("is not bent by a clock that steps back", async () => {
    const rig = startTrace();
    rig.pass(10);
    const span = rig.trace.root.child("gateway.auth");
    rig.pass(-5000);
    span.end();
    const { root, spans } = await rig.finish();
    expect(spans[1]).toMatchObject({ startAt: NOON + 10, endAt: NOON + 10 });
    expect(root.endAt).toBe(NOON + 10);
  });

  test("has whole milliseconds, whatever times it was given", async () => {
    const rig = startTrace();
    rig.trace.root.child("gateway.auth", { startAt: NOON + 0.4 }).end(NOON + 1.6);
    rig.trace.root.child("gateway.auth", { startAt: Number.NaN }).end(Number.POSITIVE_INFINITY);
    rig.pass(5);
    const { spans } = await rig.finish();
    expect(spans.map(({ startAt, endAt }) => [startAt - NOON, endAt - NOON])).toEqual([
      [0, 5],
      [0, 2],
      [0, 0],
    ]);
  });

  test("carries events and links with their own listed attributes", async () => {
    const rig = startTrace();
    const other = { traceId: "b".repeat(32), spanId: "c".repeat(16) };
    rig.trace.root
      .event("gateway.retry", { "gateway.backoff_ms": 250, "error.type": undefined }, NOON)
      .link(other, "queued_behind");
    const { root } = await rig.finish();
    expect(root.events).toEqual([
      { name: "gateway.retry", at: NOON, attributes: { "gateway.backoff_ms": 250 } },
    ]);
    expect(root.links).toEqual([{ ...other, attributes: { "gateway.link.type": "queued_behind" } }]);
  });
});

describe("the caps of a trace", () => {
  test("128 spans are kept and the rest is counted on the root", async () => {
    const rig = startTrace();
    for (let i = 0; i < 200; i++) rig.trace.root.child("gateway.auth").end();
    const { root, spans } = await rig.finish();
    expect(spans).toHaveLength(128);
    expect(root.attributes["gateway.span.dropped_count"]).toBe(200 - 127);
  });

  test("a span over the cap has no children that would be orphans", async () => {
    const rig = startTrace();
    for (let i = 0; i < 127; i++) rig.trace.root.child("gateway.auth").end();
    const dropped = rig.trace.root.child("gateway.admission");
    dropped.child("gateway.queue.wait").end();
    dropped.end();
    rig.trace.root.set({ "gateway.outcome": "ok" });
    expect(checkTrace(asFlat(await rig.finish()))).toEqual([]);
  });

  test("32 events and 16 links a span", async () => {
    const rig = startTrace();
    for (let i = 0; i < 40; i++)
      rig.trace.root.event("gateway.stream.stall").link(rig.trace.root.ref, "queued_behind");
    const { root } = await rig.finish();
    expect([root.events.length, root.links.length]).toEqual([32, 16]);
    expect(root.dropped).toEqual({ attributes: 0, events: 8, links: 24 });
  });

  test("64 attributes a span, the first ones", async () => {
    const rig = startTrace();
    const many: { [name in `gateway.metadata.${string}`]: string } = {};
    for (let i = 0; i < 80; i++) many[`gateway.metadata.k${i}`] = "v";
    rig.trace.root.set(many);
    const { root } = await rig.finish();
    expect(Object.keys(root.attributes)).toHaveLength(64);
    expect(root.attributes["gateway.metadata.k0"]).toBe("v");
    expect(root.dropped?.attributes).toBe(80 - 63);
  });
});

describe("what leaves the gateway", () => {
  test("is only what is listed", async () => {
    const rig = startTrace();
    // A caller that got past the compiler, say with attributes from JSON.
    rig.trace.root.set({ "http.request.header.authorization": "Bearer hg_secret" } as SpanAttributes);
    const { root } = await rig.finish();
    expect(JSON.stringify(root)).not.toContain("hg_secret");
    expect(root.dropped?.attributes).toBe(1);
  });

  test.each<[string, unknown]>([
    ["an empty text", ""],
    ["an empty list", []],
    ["a number that is none", Number.NaN],
    ["an endless number", Number.POSITIVE_INFINITY],
    ["null", null],
    ["an object", { a: 1 }],
  ])("has no attribute for %s", async (_, value) => {
    const rig = startTrace();
    rig.trace.root.set({ "gateway.route.reason": value } as SpanAttributes);
    expect((await rig.finish()).root.attributes).not.toHaveProperty("gateway.route.reason");
  });

  test("has texts of at most 1,024 characters, cut between two characters", async () => {
    const rig = startTrace();
    rig.trace.root.set({
      "gateway.metadata.a": "x".repeat(2000),
      "gateway.metadata.b": `${"x".repeat(1023)}😀`,
    });
    const { attributes } = (await rig.finish()).root;
    expect(attributes["gateway.metadata.a"]).toBe("x".repeat(1024));
    expect(attributes["gateway.metadata.b"]).toBe("x".repeat(1023));
  });

  test("has no half characters, which a receiver would refuse with the whole batch", async () => {
    const rig = startTrace({ name: "POST /\uD83D" });
    rig.trace.root.set({ "gateway.metadata.a": "\uDE00 half", "gateway.route.rejected": ["\uD83D"] });
    const { root } = await rig.finish();
    expect(JSON.stringify(root).isWellFormed() && !JSON.stringify(root).includes("\\ud")).toBe(true);
    expect(root.attributes["gateway.metadata.a"]).toBe("\uFFFD half");
  });
});

describe("the root's status", () => {
  test.each([
    { status: 200, fails: false, isError: false },
    { status: 200, fails: true, isError: true },
    { status: 404, fails: false, isError: false },
    { status: 429, fails: true, isError: false },
    { status: 500, fails: false, isError: true },
    { status: 503, fails: true, isError: true },
  ])("with HTTP $status and fail() $fails is an error: $isError", async ({ status, fails, isError }) => {
    const rig = startTrace();
    rig.trace.root.set({ "http.response.status_code": status });
    if (fails) rig.trace.root.fail("some_code");
    expect((await rig.finish()).root.isError).toBe(isError);
  });

  test("leaves a child's alone: an upstream's 429 is an error there", async () => {
    const rig = startTrace();
    rig.trace.root.child("chat m").set({ "http.response.status_code": 429 }).fail("429").end();
    expect((await rig.finish()).spans[1]).toMatchObject({
      isError: true,
      attributes: { "error.type": "429" },
    });
  });
});
