import { describe, expect, test } from "vitest";
import {
  createExporter,
  FLUSH_CHARS,
  FLUSHER_STALE_MS,
  FLUSH_TRACES,
  GATHER_MS,
  SEND_LOST_MS,
  STORE_NAME,
  type ExporterDeps,
  type ExportPolicy,
} from "../../../src/telemetry/exporter.ts";
import type { ExportStatus } from "../../../src/telemetry/export-counters.ts";
import type { Destination } from "../../../src/telemetry/otlp-send.ts";
import type { TraceRow } from "../../../src/telemetry/stored-trace.ts";
import type { FinishedTrace } from "../../../src/telemetry/trace.ts";
import { checkOtlp } from "../../support/otlp-proto.ts";
import { flattenSpans } from "../../support/otlp-receiver.ts";
import { NOON, startTrace } from "./plain-recorder.ts";
import { fallbackTrace, plainTrace, refusedTrace } from "./sample-traces.ts";

const PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const to = (name: string, headers: Record<string, string> = {}): Destination => ({
  name,
  url: `https://${name}.example/v1/traces`,
  headers,
  gzip: false,
});

const policy = (about: Partial<ExportPolicy> = {}): ExportPolicy => ({
  sampling: { sampleRatio: 1, alwaysKeep: [], slowMs: 10_000 },
  store: { enabled: true, maxTraces: 100, maxAgeHours: 1 },
  destinations: [],
  ...about,
});

/** An isolate whose time moves by hand and whose network and stores do as they are told. */
function isolate(
  about: { readonly operator?: Destination; readonly answer?: (url: string) => Promise<Response> } = {},
) {
  const posts: { readonly url: string; readonly headers: unknown; readonly body: string }[] = [];
  const stored: { readonly tenantId: string; readonly row: TraceRow }[] = [];
  const works: Promise<unknown>[] = [];
  let sleepers: { readonly until: number; readonly wake: () => void }[] = [];
  let nowMs = NOON;
  let storeFaults = 0;
  const answer = about.answer ?? (async () => Response.json({}));
  const deps: ExporterDeps = {
    resource: { serviceName: "headgate", serviceVersion: "0.1.0" },
    operator: about.operator,
    storeOf: (tenantId) => ({
      async add(rows) {
        if (storeFaults-- > 0) throw new Error("overloaded");
        stored.push(...rows.map((row) => ({ tenantId, row })));
      },
      search: async () => [],
      get: async () => [],
    }),
    fetch: (url, { headers, body }) => {
      posts.push({ url, headers, body: typeof body === "string" ? body : "" });
      return answer(url);
    },
    clock: () => nowMs,
    sleep: (ms) => new Promise((wake) => sleepers.push({ until: nowMs + ms, wake })),
    random: () => 0,
    timeoutSignal: () => new AbortController().signal,
  };
  const exporter = createExporter(deps);
  const waitUntil = (work: Promise<unknown>): void => void works.push(work);

  async function pass(ms: number): Promise<void> {
    nowMs += ms;
    const due = sleepers.filter(({ until }) => until <= nowMs);
    sleepers = sleepers.filter(({ until }) => until > nowMs);
    for (const { wake } of due) wake();
    // Lets everything run that needs no more time: a macrotask comes after all microtasks.
    await new Promise((resolve) => setImmediate(resolve));
  }

  return {
    exporter,
    posts,
    stored,
    works,
    pass,
    failStore: (times: number) => void (storeFaults = times),
    /** Loses all sleeping work, as when the platform ends a request. */
    loseSleepers: () => void (sleepers = []),
    export: (trace: FinishedTrace, own: ExportPolicy | undefined = policy()) =>
      exporter.export(trace, own, waitUntil),
    namesIn: (index: number) =>
      flattenSpans(JSON.parse(posts[index]?.body ?? "{}")).map(({ traceId }) => traceId),
  };
}

const isBalanced = ({ enqueued, delivered, pending, dropped }: ExportStatus) =>
  enqueued === delivered + pending + Object.values(dropped).reduce((a, b) => a + b, 0);

describe("gathering", () => {
  test("traces of the same moment leave in one post, in the first request's time", async () => {
    const rig = isolate({ operator: to("operator") });
    const traces = [await plainTrace(), await plainTrace(), await refusedTrace()];
    for (const trace of traces) rig.export(trace);
    expect(rig.works).toHaveLength(1);
    expect(rig.posts).toEqual([]);
    await rig.pass(GATHER_MS);
    expect(rig.posts).toHaveLength(1);
    expect(new Set(rig.namesIn(0))).toEqual(new Set(traces.map(({ traceId }) => traceId)));
    expect(checkOtlp(JSON.parse(rig.posts[0]?.body ?? ""))).toEqual([]);
    expect(rig.stored).toHaveLength(3);
  });

  test("a trace that comes while a post is on its way finds a flusher of its own", async () => {
    const rig = isolate({ operator: to("operator"), answer: () => new Promise(() => {}) });
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    expect(rig.posts).toHaveLength(2);
  });

  test("when the flusher's request has died, a later one takes over all that was left", async () => {
    const rig = isolate({ operator: to("operator") });
    rig.export(await plainTrace());
    rig.loseSleepers();
    rig.export(await plainTrace());
    await rig.pass(FLUSHER_STALE_MS);
    expect(rig.posts).toEqual([]);
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    expect(new Set(rig.namesIn(0)).size).toBe(3);
  });

  test("many traces wait for nobody", async () => {
    const rig = isolate({ operator: to("operator") });
    const trace = await startTrace().finish();
    for (let i = 1; i < FLUSH_TRACES; i++) rig.export(trace);
    await rig.pass(0);
    expect(rig.posts).toEqual([]);
    rig.export(trace);
    await rig.pass(0);
    expect(rig.namesIn(0)).toHaveLength(FLUSH_TRACES);
  });

  test("a long body waits for nobody, and stays below a megabyte", async () => {
    const rig = isolate({ operator: to("operator") });
    const trace = await fallbackTrace();
    for (let i = 1; i < FLUSH_TRACES && rig.works.length < 2; i++) rig.export(trace);
    await rig.pass(0);
    expect(rig.posts[0]?.body.length).toBeGreaterThan(0.9 * FLUSH_CHARS);
    expect(rig.posts[0]?.body.length).toBeLessThan(1_000_000);
  });

  test("with nowhere to go nothing is encoded, kept or waited for", async () => {
    const rig = isolate();
    rig.export(await plainTrace(), policy({ store: { enabled: false, maxTraces: 1, maxAgeHours: 1 } }));
    expect(rig.works).toEqual([]);
  });
});

describe("destinations", () => {
  test("get the traces of their own tenant only, each with its own headers", async () => {
    const rig = isolate();
    const acme = await plainTrace();
    const globex = { ...(await plainTrace()), tenantId: "globex" };
    rig.export(acme, policy({ destinations: [to("grafana", { authorization: "a" })] }));
    rig.export(globex, policy({ destinations: [to("grafana", { authorization: "g" })] }));
    await rig.pass(GATHER_MS);
    expect(rig.posts.map(({ headers }) => Reflect.get(headers as object, "authorization"))).toEqual([
      "a",
      "g",
    ]);
    expect(new Set(rig.namesIn(0))).toEqual(new Set([acme.traceId]));
    expect(new Set(rig.namesIn(1))).toEqual(new Set([globex.traceId]));
  });

  test("that are dead delay no other", async () => {
    const rig = isolate({
      operator: to("operator"),
      answer: (url) => (url.includes("dead") ? new Promise(() => {}) : Promise.resolve(Response.json({}))),
    });
    rig.export(await plainTrace(), policy({ destinations: [to("dead"), to("alive")] }));
    await rig.pass(GATHER_MS);
    const delivered = rig.exporter.status("acme").map(({ destination, delivered: n }) => [destination, n]);
    expect(delivered).toEqual([
      ["dead", 0],
      ["alive", 1],
      [STORE_NAME, 1],
    ]);
    expect(rig.exporter.status(undefined)[0]?.delivered).toBe(1);
  });

  test("of the tenant keep a remote parent, the operator's gets a root", async () => {
    const rig = isolate({ operator: to("operator") });
    rig.export(await fallbackTrace(PARENT), policy({ destinations: [to("own")] }));
    await rig.pass(GATHER_MS);
    const [toOperator, toTenant] = rig.posts.map(({ body }) => flattenSpans(JSON.parse(body))[0]);
    expect(toOperator?.parentSpanId).toBeUndefined();
    expect(toTenant?.parentSpanId).toBe("00f067aa0ba902b7");
    expect(rig.stored[0]?.row.otlp).toContain('"parentSpanId":"00f067aa0ba902b7"');
  });

  test("a tenant samples for himself, and does not blind the operator", async () => {
    const rig = isolate({ operator: to("operator") });
    const none = policy({
      sampling: { sampleRatio: 0, alwaysKeep: ["error"], slowMs: 1 },
      destinations: [to("own")],
    });
    rig.export(await plainTrace(), none);
    rig.export(await refusedTrace(), none);
    await rig.pass(GATHER_MS);
    expect(rig.exporter.status("acme").map(({ enqueued }) => enqueued)).toEqual([1, 1]);
    expect(rig.exporter.status(undefined)[0]?.enqueued).toBe(2);
    expect(rig.stored.map(({ row }) => row.status)).toEqual([429]);
  });
});

describe("the stores", () => {
  test("get a row a request with its summary, in the tenant's own object", async () => {
    const rig = isolate();
    rig.export(await fallbackTrace());
    await rig.pass(GATHER_MS);
    expect(rig.stored).toMatchObject([
      { tenantId: "acme", row: { requestId: "req_7Fq2", attempts: 2, queueMs: 400 } },
    ]);
  });

  test("keep the requests of nobody known apart", async () => {
    const rig = isolate();
    rig.export(await startTrace().finish(), undefined);
    await rig.pass(GATHER_MS);
    expect(rig.stored.map(({ tenantId }) => tenantId)).toEqual(["-"]);
  });

  test("are written at once for a reader, without sending what waits for destinations", async () => {
    const rig = isolate({ operator: to("operator") });
    rig.export(await plainTrace());
    await rig.exporter.flushStores();
    expect([rig.stored.length, rig.posts.length]).toEqual([1, 0]);
    await rig.pass(GATHER_MS);
    expect([rig.stored.length, rig.posts.length]).toEqual([1, 1]);
  });

  test("are asked once more when they are overloaded", async () => {
    const rig = isolate();
    rig.failStore(1);
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    expect(rig.exporter.status("acme")[0]).toMatchObject({ pending: 1 });
    await rig.pass(1000);
    expect(rig.exporter.status("acme")[0]).toMatchObject({ delivered: 1, pending: 0 });
  });
});

describe("the counters", () => {
  test("say why traces were lost, and always add up", async () => {
    const rig = isolate({
      operator: to("operator"),
      answer: async () => new Response(null, { status: 400 }),
    });
    rig.failStore(2);
    rig.export(await plainTrace());
    rig.export(await plainTrace());
    const before = rig.exporter.status(undefined);
    expect(before).toMatchObject([{ destination: "(operator)", enqueued: 2, pending: 2 }]);
    await rig.pass(GATHER_MS);
    await rig.pass(1000);
    expect(rig.exporter.status(undefined)).toMatchObject([
      { enqueued: 2, delivered: 0, pending: 0, dropped: { http_400: 2 }, lastError: "http_400" },
    ]);
    expect(rig.exporter.status("acme")).toMatchObject([
      { destination: STORE_NAME, dropped: { store_error: 2 } },
    ]);
    for (const status of [...before, ...rig.exporter.status(undefined), ...rig.exporter.status("acme")]) {
      expect(isBalanced(status)).toBe(true);
    }
  });

  test("count a partially refused batch as dropped", async () => {
    const partial = async () => Response.json({ partialSuccess: { rejectedSpans: "1" } });
    const rig = isolate({ operator: to("operator"), answer: partial });
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    expect(rig.exporter.status(undefined)).toMatchObject([{ dropped: { partial_success: 1 } }]);
  });

  test("write off what was on its way when its request died", async () => {
    const rig = isolate({ operator: to("operator"), answer: () => new Promise(() => {}) });
    rig.export(await plainTrace());
    await rig.pass(GATHER_MS);
    expect(rig.exporter.status(undefined)).toMatchObject([{ pending: 1, dropped: {} }]);
    await rig.pass(SEND_LOST_MS);
    expect(rig.exporter.status(undefined)).toMatchObject([{ pending: 0, dropped: { request_ended: 1 } }]);
  });

  test("drop, and count, what a dead destination would pile up in memory", async () => {
    const rig = isolate({ operator: to("operator"), answer: () => new Promise(() => {}) });
    const big = startTrace();
    for (let i = 0; i < 127; i++) {
      big.trace.root.child("gateway.auth", { attributes: { "gateway.metadata.a": "x".repeat(1024) } }).end();
    }
    const trace = await big.finish();
    for (let i = 0; i < 100; i++) rig.export(trace, policy({ store: { ...policy().store, enabled: false } }));
    const [status] = rig.exporter.status(undefined);
    expect(status?.pending).toBeGreaterThan(10);
    expect(status?.dropped["backlog"]).toBeGreaterThan(10);
    expect(status && isBalanced(status)).toBe(true);
  });

  test("free the memory of what was delivered", async () => {
    const rig = isolate({ operator: to("operator") });
    const trace = await fallbackTrace();
    for (let i = 0; i < 3000; i++) {
      rig.export(trace);
      if (i % 100 === 0) await rig.pass(GATHER_MS);
    }
    await rig.pass(GATHER_MS);
    expect(rig.exporter.status(undefined)).toMatchObject([{ delivered: 3000, pending: 0, dropped: {} }]);
  });
});
