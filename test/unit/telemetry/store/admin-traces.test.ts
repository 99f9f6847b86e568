import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { adminTraces } from "../../../../routes/admin/traces.ts";
import type { AppEnv, Services } from "../../../../src/app-types.ts";
import { onError } from "../../../../src/middleware/on-error.ts";
import { encodeTrace } from "../../../../src/telemetry/otlp/otlp.ts";
import { summarize } from "../../../../src/telemetry/trace/summary.ts";
import type { TraceReader } from "../../../../src/telemetry/store/trace-reader.ts";
import { checkOtlp } from "../../../support/checkers/otlp-proto.ts";
import { checkTrace } from "../../../support/checkers/trace-invariants.ts";
import { envelope } from "../../../support/checkers/flat-trace.ts";
import { fallbackTrace, plainTrace } from "../../../support/builders/sample-traces.ts";

const trace = await fallbackTrace();
const asked: unknown[] = [];

const reader: Pick<TraceReader, "search" | "get" | "explain"> = {
  async search(query) {
    asked.push(query);
    return {
      items: [summarize(trace), summarize(await plainTrace())],
      cursor: { position: 7, tenant: "acme" },
    };
  },
  async get(traceId, tenant) {
    asked.push(tenant);
    return traceId === trace.traceId ? [envelope(encodeTrace(trace).spans)] : [];
  },
  async explain(traceId) {
    if (traceId !== trace.traceId) return [];
    const nothing = { usual: undefined, neighbours: [], partner: undefined, linked: [], overtakenBy: 0 };
    return [{ otlp: envelope(encodeTrace(trace).spans), ...nothing }];
  },
};

const app = new Hono<AppEnv>()
  .use(async (c, next) => {
    // The routes use nothing else of the services.
    const tenants = { load: async () => undefined };
    c.set("services", { traces: reader, tenants, now: () => 0 } as unknown as Services);
    c.set("admin", { actor: "admin", name: "ADMIN_TOKEN", role: "operator" });
    c.set("requestId", "req_1");
    await next();
  })
  .route("/admin", adminTraces)
  .onError(onError);

const get = (path: string, headers: Record<string, string> = {}) =>
  app.request(`http://gw${path}`, { headers });

describe("GET /admin/traces", () => {
  test("lists requests with the fields of the contract, and a cursor", async () => {
    const response = await get("/admin/traces?tenant=acme&limit=2");
    const body = await response.json<{ items: object[]; cursor: string }>();
    expect(Object.keys(body.items[0] ?? {})).toEqual(
      (
        "traceId requestId startedAt durationMs tenant keyId route model provider status outcome ttfbMs queueMs " +
        "attempts cache inputTokens outputTokens costUsd costBasis session endUser"
      ).split(" "),
    );
    expect(body.items[0]).toMatchObject({
      startedAt: "2026-11-25T10:00:00.000Z",
      status: 200,
      costUsd: 0.001102,
    });
    await get(`/admin/traces?cursor=${encodeURIComponent(body.cursor)}`);
    expect(asked.at(-1)).toMatchObject({ cursor: { position: 7, tenant: "acme" } });
  });

  test("is drawn for a terminal, a line for each request", async () => {
    const response = await get("/admin/traces", { accept: "text/plain" });
    expect(response.headers.get("content-type")).toContain("text/plain");
    const [head = "", first = "", ...others] = (await response.text()).split("\n");
    expect(head).toMatch(/^STARTED \(UTC\) +STATUS +DURATION +MODEL +TOKENS +COST +CACHE +TRACE$/);
    expect(first).toMatch(/^2026-11-25 10:00:00 {2}200 +.* → .* +\$0\.001102 +/);
    expect(first.endsWith(trace.traceId)).toBe(true);
    expect(others).toHaveLength(2);
  });

  test("refuses a wrong parameter by name", async () => {
    const response = await get("/admin/traces?min_ms=fast");
    expect(response.status).toBe(400);
    expect(response.headers.get("content-type")).toContain("application/problem+json");
    expect(await response.json()).toMatchObject({ code: "invalid_request", param: "min_ms" });
  });
});

describe("GET /admin/traces/{traceId}", () => {
  test.each(["*/*", "application/json", "text/html", "application/json, text/plain"])(
    "is OTLP/JSON for accept: %s",
    async (accept) => {
      const response = await get(`/admin/traces/${trace.traceId}`, { accept });
      expect(response.headers.get("content-type")).toBe("application/json");
      const body: unknown = await response.json();
      expect(checkOtlp(body)).toEqual([]);
      expect(checkTrace(body as object)).toEqual([]);
    },
  );

  test("is a drawing for a client that wants text", async () => {
    const response = await get(`/admin/traces/${trace.traceId}`, { accept: "text/plain" });
    expect(response.headers.get("content-type")).toMatch(/^text\/plain; ?charset=utf-8$/i);
    expect(await response.text()).toContain("where the time went");
  });

  test("is drawn as wide as asked", async () => {
    const response = await get(`/admin/traces/${trace.traceId}?width=72`, { accept: "text/plain" });
    const lines = (await response.text()).split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBe(72);
  });

  test("takes an id in upper case, and a tenant to look in", async () => {
    expect((await get(`/admin/traces/${trace.traceId.toUpperCase()}?tenant=acme`)).status).toBe(200);
    expect(asked.at(-1)).toBe("acme");
  });

  test.each([
    ["an unknown id", `/admin/traces/${"b".repeat(32)}`, 404, "traceId"],
    ["a malformed id", "/admin/traces/xyz", 400, "traceId"],
    ["a wrong width", `/admin/traces/${trace.traceId}?width=9`, 400, "width"],
    ["a wrong tenant", `/admin/traces/${trace.traceId}?tenant=A/B`, 400, "tenant"],
  ])("answers %s with a problem that names it", async (_, path, status, param) => {
    const response = await get(path);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ status, param, requestId: "req_1" });
  });
});
