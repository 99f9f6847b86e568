import { describe, expect, test } from "vitest";
import { SPAN_GRACE_MS } from "../../../../src/telemetry/trace/request-trace.ts";
import type { SpanAttributes } from "../../../../src/telemetry/trace/attributes.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../../support/fakes/fake-trace.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("a request's trace", () => {
  test("holds the root first and every span with its place in the order", async () => {
    const setup = startTrace();
    const auth = setup.trace.root.child("gateway.auth");
    setup.pass(2);
    auth.end();
    const admission = setup.trace.root.child("gateway.admission", { kind: "client" });
    admission.child("gateway.queue.wait", { kind: "server" }).end();
    admission.end();
    const { root, spans } = await setup.finish();
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
    const setup = startTrace();
    const record = setup.trace.root.child("gateway.usage.record", { kind: "client" });
    setup.trace.root.set({ "gateway.outcome": "ok" }).end();
    let isFinished = false;
    void setup.trace.finished.then(() => (isFinished = true));
    await Promise.resolve();
    expect(isFinished).toBe(false);
    setup.pass(5);
    record.end();
    const trace = await setup.trace.finished;
    expect(trace.root.endAt).toBe(NOON);
    expect(trace.spans[1]?.endAt).toBe(NOON + 5);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("takes work that begins right behind the root's end", async () => {
    const setup = startTrace();
    setup.trace.root.end();
    setup.trace.root.child("gateway.cache.store", { kind: "client" }).end();
    expect((await setup.trace.finished).spans).toHaveLength(2);
  });

  test("ignores what comes after it has left", async () => {
    const setup = startTrace();
    const trace = await setup.finish();
    const late = setup.trace.root.child("gateway.cache.store");
    late.set({ "gateway.outcome": "ok" }).fail("late").end();
    expect(late.child("gateway.auth").ref).toEqual(setup.trace.root.ref);
    expect(trace.spans).toHaveLength(1);
  });

  test("cuts off spans that are still open after the grace and marks them", async () => {
    const setup = startTrace();
    const stuck = setup.trace.root.child("gateway.usage.record", { kind: "client" });
    setup.trace.root.set({ "gateway.outcome": "ok" }).end();
    setup.pass(SPAN_GRACE_MS);
    expect(setup.wake()).toEqual([SPAN_GRACE_MS]);
    const trace = await setup.trace.finished;
    expect(trace.spans[1]).toMatchObject({
      spanId: stuck.ref.spanId,
      endAt: NOON + SPAN_GRACE_MS,
      attributes: { "gateway.span.truncated": true },
    });
    expect(trace.root.attributes).not.toHaveProperty("gateway.span.truncated");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("asks for no timer when everything ended with the root", async () => {
    const setup = startTrace();
    setup.trace.root.child("gateway.auth").end();
    await setup.finish();
    expect(setup.wake()).toEqual([]);
  });

  test("joins the caller's trace once its tenant is known, and says that the parent is remote", async () => {
    const setup = startTrace({ traceparent: PARENT });
    setup.trace.root.set({ "gateway.outcome": "ok" });
    const auth = setup.trace.root.child("gateway.auth");
    auth.end();
    setup.trace.setTenant("acme");
    expect(setup.trace.traceId).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
    expect(auth.ref.traceId).toBe(setup.trace.traceId);
    setup.trace.root.child("gateway.route").end();
    const trace = await setup.finish();
    expect(trace).toMatchObject({ traceId: "4bf92f3577b34da6a3ce929d0e0e4736", hasRemoteParent: true });
    expect(trace.root.parentSpanId).toBe("00f067aa0ba902b7");
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("adds nothing to the caller's trace while it is not known who calls", async () => {
    const setup = startTrace({ traceparent: PARENT });
    setup.trace.root.set({ "gateway.outcome": "rejected" }).child("gateway.auth").end();
    const trace = await setup.finish();
    expect(trace).toMatchObject({ hasRemoteParent: false, traceId: setup.trace.traceId });
    expect(trace.root.parentSpanId).toBeUndefined();
    expect(JSON.stringify(trace)).not.toMatch(/4bf92f3577b34da6a3ce929d0e0e4736|00f067aa0ba902b7/);
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("starts a trace of its own after a garbage traceparent", async () => {
    const setup = startTrace({ traceparent: `${PARENT}-more` });
    setup.trace.setTenant("acme");
    const trace = await setup.finish();
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
    const setup = startTrace();
    setup.trace.setTenant("acme");
    expect((await setup.finish()).tenantId).toBe("acme");
    expect((await startTrace().finish()).tenantId).toBeUndefined();
  });
});

describe("a span", () => {
  test("takes nothing after its end", async () => {
    const setup = startTrace();
    const span = setup.trace.root.child("gateway.auth");
    span.end(NOON + 3);
    span
      .set({ "gateway.auth.result": "ok" })
      .fail("x")
      .event("gateway.retry")
      .link(span.ref, "queued_behind");
    span.end(NOON + 9);
    const { spans } = await setup.finish();
    expect(spans[1]).toMatchObject({
      endAt: NOON + 3,
      isError: false,
      events: [],
      links: [],
      attributes: { "gateway.span.seq": 1 },
    });
  });

  test("leaves undefined attributes out", async () => {
    const setup = startTrace({ attributes: { "gateway.outcome": "ok", "gateway.key.id": undefined } });
    setup.trace.root.set({ "gateway.tenant.id": undefined });
    const { root } = await setup.finish();
    expect(root.attributes).toEqual({ "gateway.span.seq": 0, "gateway.outcome": "ok" });
  });

  test("keeps its own copy of a list", async () => {
    const setup = startTrace();
    const reasons = ["stop"];
    setup.trace.root.set({ "gen_ai.response.finish_reasons": reasons });
    reasons.push("changed");
    expect((await setup.finish()).root.attributes["gen_ai.response.finish_reasons"]).toEqual(["stop"]);
  });

  test("never starts before its parent and never ends before its start", async () => {
    const setup = startTrace();
    setup.trace.root.child("gateway.queue.wait", { kind: "server", startAt: NOON - 50 }).end(NOON - 80);
    const { spans } = await setup.finish();
    expect(spans[1]).toMatchObject({ startAt: NOON, endAt: NOON });
  });

  test("is not bent by a clock that steps back", async () => {
    const setup = startTrace();
    setup.pass(10);
    const span = setup.trace.root.child("gateway.auth");
    setup.pass(-5000);
    span.end();
    const { root, spans } = await setup.finish();
    expect(spans[1]).toMatchObject({ startAt: NOON + 10, endAt: NOON + 10 });
    expect(root.endAt).toBe(NOON + 10);
  });

  test("has whole milliseconds, whatever times it was given", async () => {
    const setup = startTrace();
    setup.trace.root.child("gateway.auth", { startAt: NOON + 0.4 }).end(NOON + 1.6);
    setup.trace.root.child("gateway.auth", { startAt: Number.NaN }).end(Number.POSITIVE_INFINITY);
    setup.pass(5);
    const { spans } = await setup.finish();
    expect(spans.map(({ startAt, endAt }) => [startAt - NOON, endAt - NOON])).toEqual([
      [0, 5],
      [0, 2],
      [0, 0],
    ]);
  });

  test("carries events and links with their own listed attributes", async () => {
    const setup = startTrace();
    const other = { traceId: "b".repeat(32), spanId: "c".repeat(16) };
    setup.trace.root
      .event("gateway.retry", { "gateway.backoff_ms": 250, "error.type": undefined }, NOON)
      .link(other, "queued_behind");
    const { root } = await setup.finish();
    expect(root.events).toEqual([
      { name: "gateway.retry", at: NOON, attributes: { "gateway.backoff_ms": 250 } },
    ]);
    expect(root.links).toEqual([{ ...other, attributes: { "gateway.link.type": "queued_behind" } }]);
  });
});

describe("the caps of a trace", () => {
  test("128 spans are kept and the rest is counted on the root", async () => {
    const setup = startTrace();
    for (let i = 0; i < 200; i++) setup.trace.root.child("gateway.auth").end();
    const { root, spans } = await setup.finish();
    expect(spans).toHaveLength(128);
    expect(root.attributes["gateway.span.dropped_count"]).toBe(200 - 127);
  });

  test("a span over the cap has no children that would be orphans", async () => {
    const setup = startTrace();
    for (let i = 0; i < 127; i++) setup.trace.root.child("gateway.auth").end();
    const dropped = setup.trace.root.child("gateway.admission");
    dropped.child("gateway.queue.wait").end();
    dropped.end();
    setup.trace.root.set({ "gateway.outcome": "ok" });
    expect(checkTrace(asFlat(await setup.finish()))).toEqual([]);
  });

  test("32 events and 16 links a span", async () => {
    const setup = startTrace();
    for (let i = 0; i < 40; i++)
      setup.trace.root.event("gateway.stream.stall").link(setup.trace.root.ref, "queued_behind");
    const { root } = await setup.finish();
    expect([root.events.length, root.links.length]).toEqual([32, 16]);
    expect(root.dropped).toEqual({ attributes: 0, events: 8, links: 24 });
  });

  test("64 attributes a span, the first ones", async () => {
    const setup = startTrace();
    const many: { [name in `gateway.metadata.${string}`]: string } = {};
    for (let i = 0; i < 80; i++) many[`gateway.metadata.k${i}`] = "v";
    setup.trace.root.set(many);
    const { root } = await setup.finish();
    expect(Object.keys(root.attributes)).toHaveLength(64);
    expect(root.attributes["gateway.metadata.k0"]).toBe("v");
    expect(root.dropped?.attributes).toBe(80 - 63);
  });
});

describe("what leaves the gateway", () => {
  test("is only what is listed", async () => {
    const setup = startTrace();
    // A caller that got past the compiler, say with attributes from JSON.
    setup.trace.root.set({ "http.request.header.authorization": "Bearer hg_secret" } as SpanAttributes);
    const { root } = await setup.finish();
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
    const setup = startTrace();
    setup.trace.root.set({ "gateway.route.reason": value } as SpanAttributes);
    expect((await setup.finish()).root.attributes).not.toHaveProperty("gateway.route.reason");
  });

  test("has texts of at most 1,024 characters, cut between two characters", async () => {
    const setup = startTrace();
    setup.trace.root.set({
      "gateway.metadata.a": "x".repeat(2000),
      "gateway.metadata.b": `${"x".repeat(1023)}😀`,
    });
    const { attributes } = (await setup.finish()).root;
    expect(attributes["gateway.metadata.a"]).toBe("x".repeat(1024));
    expect(attributes["gateway.metadata.b"]).toBe("x".repeat(1023));
  });

  test("has no half characters, which a receiver would refuse with the whole batch", async () => {
    const setup = startTrace({ name: "POST /\uD83D" });
    setup.trace.root.set({ "gateway.metadata.a": "\uDE00 half", "gateway.route.rejected": ["\uD83D"] });
    const { root } = await setup.finish();
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
    const setup = startTrace();
    setup.trace.root.set({ "http.response.status_code": status });
    if (fails) setup.trace.root.fail("some_code");
    expect((await setup.finish()).root.isError).toBe(isError);
  });

  test("leaves a child's alone: an upstream's 429 is an error there", async () => {
    const setup = startTrace();
    setup.trace.root.child("chat m").set({ "http.response.status_code": 429 }).fail("429").end();
    expect((await setup.finish()).spans[1]).toMatchObject({
      isError: true,
      attributes: { "error.type": "429" },
    });
  });
});
