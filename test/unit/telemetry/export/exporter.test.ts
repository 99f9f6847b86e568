import { describe, expect, test } from "vitest";
import { SEND_LOST_MS } from "../../../../src/telemetry/export/export-batches.ts";
import {
  FLUSH_CHARS,
  FLUSHER_STALE_MS,
  FLUSH_TRACES,
  EXPORT_GATHER_MS,
} from "../../../../src/telemetry/export/exporter.ts";
import { OPERATOR_NAME, STORE_NAME } from "../../../../src/telemetry/export/outbox-port.ts";
import { checkOtlp } from "../../../support/checkers/otlp-proto.ts";
import { flattenSpans } from "../../../support/checkers/otlp-spans.ts";
import {
  isBalanced,
  isolate,
  OPERATOR,
  policy,
  storeless,
  to,
} from "../../../support/fakes/fake-exporter.ts";
import { startTrace } from "../../../support/fakes/fake-trace.ts";
import { fallbackTrace, plainTrace, refusedTrace } from "../../../support/builders/sample-traces.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

describe("gathering", () => {
  test("traces of the same moment leave in one post, in the first request's time", async () => {
    const setup = isolate({ operator: OPERATOR });
    const traces = [await plainTrace(), await plainTrace(), await refusedTrace()];
    for (const trace of traces) setup.export(trace);
    expect(setup.works).toHaveLength(1);
    expect(setup.posts).toEqual([]);
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts).toHaveLength(1);
    expect(new Set(setup.namesIn(0))).toEqual(new Set(traces.map(({ traceId }) => traceId)));
    expect(checkOtlp(JSON.parse(setup.posts[0]?.body ?? ""))).toEqual([]);
    expect(setup.stored).toHaveLength(3);
  });

  test("a trace that comes while a post is on its way finds a flusher of its own", async () => {
    const setup = isolate({ operator: OPERATOR, answer: () => new Promise(() => {}) });
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts).toHaveLength(2);
  });

  test("when the flusher's request has died, a later one takes over all that was left", async () => {
    const setup = isolate({ operator: OPERATOR });
    setup.export(await plainTrace());
    setup.loseSleepers();
    setup.export(await plainTrace());
    await setup.pass(FLUSHER_STALE_MS);
    expect(setup.posts).toEqual([]);
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(new Set(setup.namesIn(0)).size).toBe(3);
  });

  test("many traces don't wait for others", async () => {
    const setup = isolate({ operator: OPERATOR });
    const trace = await startTrace().finish();
    for (let i = 1; i < FLUSH_TRACES; i++) setup.export(trace);
    await setup.pass(0);
    expect(setup.posts).toEqual([]);
    setup.export(trace);
    await setup.pass(0);
    expect(setup.namesIn(0)).toHaveLength(FLUSH_TRACES);
  });

  test("a long body doesn't wait for others, and stays below a megabyte", async () => {
    const setup = isolate({ operator: OPERATOR });
    const trace = await fallbackTrace();
    for (let i = 1; i < FLUSH_TRACES && setup.works.length < 2; i++) setup.export(trace);
    await setup.pass(0);
    expect(setup.posts[0]?.body.length).toBeGreaterThan(0.9 * FLUSH_CHARS);
    expect(setup.posts[0]?.body.length).toBeLessThan(1_000_000);
  });

  test("with nowhere to go nothing is encoded, kept or waited for", async () => {
    const setup = isolate();
    setup.export(await plainTrace(), storeless());
    expect(setup.works).toEqual([]);
  });
});

describe("destinations", () => {
  test("get the traces of their own tenant only, each with its own headers", async () => {
    const setup = isolate();
    const acme = await plainTrace();
    const globex = { ...(await plainTrace()), tenantId: "globex" };
    setup.export(acme, policy({ destinations: [to("grafana", { authorization: "a" })] }));
    setup.export(globex, policy({ destinations: [to("grafana", { authorization: "g" })] }));
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.posts.map(({ headers }) => Reflect.get(headers as object, "authorization"))).toEqual([
      "a",
      "g",
    ]);
    expect(new Set(setup.namesIn(0))).toEqual(new Set([acme.traceId]));
    expect(new Set(setup.namesIn(1))).toEqual(new Set([globex.traceId]));
  });

  test("that are dead delay no other", async () => {
    const setup = isolate({
      operator: OPERATOR,
      answer: (url) => (url.includes("dead") ? new Promise(() => {}) : Promise.resolve(Response.json({}))),
    });
    setup.export(await plainTrace(), policy({ destinations: [to("dead"), to("alive")] }));
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status("acme")).toMatchObject({
      dead: { delivered: 0, pending: 1 },
      alive: { delivered: 1 },
      [STORE_NAME]: { delivered: 1 },
    });
    expect(await setup.status(undefined)).toMatchObject({ [OPERATOR_NAME]: { delivered: 1 } });
  });

  test("of the tenant keep a remote parent, the operator's gets a root", async () => {
    const setup = isolate({ operator: OPERATOR });
    setup.export(await fallbackTrace(PARENT), policy({ destinations: [to("own")] }));
    await setup.pass(EXPORT_GATHER_MS);
    const [toOperator, toTenant] = setup.posts.map(({ body }) => flattenSpans(JSON.parse(body))[0]);
    expect(toOperator?.parentSpanId).toBeUndefined();
    expect(toTenant?.parentSpanId).toBe("00f067aa0ba902b7");
    expect(setup.stored[0]?.row.otlp).toContain('"parentSpanId":"00f067aa0ba902b7"');
  });

  test("a tenant samples for itself, and does not blind the operator", async () => {
    const setup = isolate({ operator: OPERATOR });
    const none = policy({
      sampling: { sampleRatio: 0, alwaysKeep: ["error"], slowMs: 1 },
      destinations: [to("own")],
    });
    setup.export(await plainTrace(), none);
    setup.export(await refusedTrace(), none);
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status("acme")).toMatchObject({ own: { enqueued: 1 }, [STORE_NAME]: { enqueued: 1 } });
    expect(await setup.status(undefined)).toMatchObject({ [OPERATOR_NAME]: { enqueued: 2 } });
    expect(setup.stored.map(({ row }) => row.status)).toEqual([429]);
  });
});

describe("the stores", () => {
  test("get a row a request with its summary, in the tenant's own object", async () => {
    const setup = isolate();
    setup.export(await fallbackTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.stored).toMatchObject([
      { tenantId: "acme", row: { requestId: "req_7Fq2", attempts: 2, queueMs: 400 } },
    ]);
  });

  test("keep requests without a tenant apart", async () => {
    const setup = isolate();
    setup.export(await startTrace().finish(), undefined);
    await setup.pass(EXPORT_GATHER_MS);
    expect(setup.stored.map(({ tenantId }) => tenantId)).toEqual(["-"]);
  });

  test("are written at once for a reader, without sending what waits for destinations", async () => {
    const setup = isolate({ operator: OPERATOR });
    setup.export(await plainTrace());
    await setup.exporter.flushStores();
    expect([setup.stored.length, setup.posts.length]).toEqual([1, 0]);
    await setup.pass(EXPORT_GATHER_MS);
    expect([setup.stored.length, setup.posts.length]).toEqual([1, 1]);
  });

  test("are asked once more when they are overloaded", async () => {
    const setup = isolate();
    setup.failStore(1);
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status("acme")).toMatchObject({ [STORE_NAME]: { pending: 1 } });
    await setup.pass(1000);
    expect(await setup.status("acme")).toMatchObject({ [STORE_NAME]: { delivered: 1, pending: 0 } });
  });
});

describe("the counters", () => {
  test("say why traces were lost, and always add up", async () => {
    const setup = isolate({ operator: OPERATOR, answer: async () => new Response(null, { status: 400 }) });
    setup.failStore(2);
    setup.export(await plainTrace());
    setup.export(await plainTrace());
    const before = await setup.status(undefined);
    expect(before).toMatchObject({ [OPERATOR_NAME]: { enqueued: 2, pending: 2 } });
    await setup.pass(EXPORT_GATHER_MS);
    await setup.pass(1000);
    const [operator, tenant] = [await setup.status(undefined), await setup.status("acme")];
    expect(operator).toMatchObject({
      [OPERATOR_NAME]: {
        enqueued: 2,
        delivered: 0,
        pending: 0,
        dropped: { http_400: 2 },
        lastError: "http_400",
      },
    });
    expect(tenant).toMatchObject({ [STORE_NAME]: { dropped: { store_error: 2 } } });
    for (const status of [before, operator, tenant].flatMap((statuses) => Object.values(statuses))) {
      expect(isBalanced(status)).toBe(true);
    }
  });

  test("count a partially refused batch as dropped", async () => {
    const partial = async () => Response.json({ partialSuccess: { rejectedSpans: "1" } });
    const setup = isolate({ operator: OPERATOR, answer: partial });
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status(undefined)).toMatchObject({
      [OPERATOR_NAME]: { dropped: { partial_success: 1 } },
    });
    expect(setup.batches()).toEqual([]);
  });

  test("count what is meant for a destination that can't be sent to", async () => {
    const setup = isolate();
    setup.export(await plainTrace(), storeless({ name: "sealed", fault: "credential" }, to("own")));
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status("acme")).toMatchObject({
      sealed: { enqueued: 1, dropped: { credential: 1 }, lastError: "credential" },
      own: { delivered: 1 },
    });
  });

  test("write off what was on its way when its request died", async () => {
    const setup = isolate({ operator: OPERATOR, answer: () => new Promise(() => {}) });
    setup.export(await plainTrace());
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status(undefined)).toMatchObject({ [OPERATOR_NAME]: { pending: 1, dropped: {} } });
    await setup.pass(SEND_LOST_MS);
    expect(await setup.status(undefined)).toMatchObject({
      [OPERATOR_NAME]: { pending: 0, dropped: { request_ended: 1 } },
    });
  });

  test("drop, and count, what a dead destination would pile up in memory", async () => {
    const setup = isolate({ operator: OPERATOR, answer: () => new Promise(() => {}) });
    const big = startTrace();
    for (let i = 0; i < 127; i++) {
      big.trace.root.child("gateway.auth", { attributes: { "gateway.metadata.a": "x".repeat(1024) } }).end();
    }
    const trace = await big.finish();
    for (let i = 0; i < 100; i++) setup.export(trace, storeless());
    const { [OPERATOR_NAME]: status } = await setup.status(undefined);
    expect(status?.pending).toBeGreaterThan(10);
    expect(status?.dropped["backlog"]).toBeGreaterThan(10);
    expect(status && isBalanced(status)).toBe(true);
  });

  test("free the memory of what was delivered", async () => {
    const setup = isolate({ operator: OPERATOR });
    const trace = await fallbackTrace();
    for (let i = 0; i < 3000; i++) {
      setup.export(trace);
      if (i % 100 === 0) await setup.pass(EXPORT_GATHER_MS);
    }
    await setup.pass(EXPORT_GATHER_MS);
    expect(await setup.status(undefined)).toMatchObject({
      [OPERATOR_NAME]: { delivered: 3000, pending: 0, dropped: {} },
    });
  });
});
