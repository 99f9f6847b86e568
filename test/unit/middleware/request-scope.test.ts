// What stands around each request: its id, its trace and its facts on the way out, who calls, and how a fault becomes bytes. With
// services in memory; the whole Worker is test/clients.
import { Hono } from "hono";
import { beforeAll, describe, expect, test } from "vitest";
import { getModel, listModels } from "../../../routes/models.ts";
import { createUnqueuedRate } from "../../../src/limits/isolate/unqueued-rate.ts";
import { createBodyMemory } from "../../../src/limits/isolate/body-memory.ts";
import type { AppEnv } from "../../../src/app-types.ts";
import { GatewayError } from "../../../src/errors.ts";
import { adminAuth } from "../../../src/middleware/admin-auth.ts";
import { authenticate } from "../../../src/middleware/authenticate.ts";
import { cors } from "../../../src/middleware/cors.ts";
import { createNotFound } from "../../../src/middleware/method-guard.ts";
import { onError } from "../../../src/middleware/on-error.ts";
import { requestScope } from "../../../src/middleware/request-scope.ts";
import type { IsolateServices } from "../../../src/services.ts";
import type { FinishedTrace, RequestTrace } from "../../../src/telemetry/trace/trace.ts";
import { generateKey, hashKey } from "../../../src/tenants/key-format.ts";
import type { TenantBundle } from "../../../src/tenants/records/records.ts";
import { spanNamed, spansNamed } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle, type FakeTenant } from "../../support/fakes/fake-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { asFlat } from "../../support/checkers/flat-trace.ts";
import { NOON, startTrace } from "../../support/fakes/fake-trace.ts";

const ADMIN_TOKEN = "the-operators-token-0123456789";

const KEY = generateKey((count) => new Uint8Array(count).fill(7));
let hash = "";
beforeAll(async () => {
  hash = await hashKey(KEY);
});

const ROUTES = {
  chat: {
    targets: [
      { provider: "a", model: "x" },
      { provider: "gone", model: "y" },
    ],
  },
};

interface World {
  readonly tenant?: FakeTenant;
  /** What `reload` gives; the same where absent. */
  readonly fresh?: FakeTenant;
  readonly corsOrigins?: readonly string[];
}

function createWorld(world: World = {}) {
  const bundleOf = (tenant: FakeTenant = {}): TenantBundle =>
    fakeBundle({ routes: ROUTES, ...tenant, key: { hash, ...tenant.key } });
  const lookups: string[] = [];
  const exported: { readonly trace: RequestTrace; readonly isUnauthenticated: boolean }[] = [];
  const held: Promise<unknown>[] = [];
  let endStream: (() => void) | undefined;
  const tenants = {
    async findKey(asked: string) {
      lookups.push(asked);
      return asked === hash ? { tenantId: "acme", keyId: "key-1", source: "kv" } : undefined;
    },
    noteInvalidKey() {},
    load: async () => ({ bundle: bundleOf(world.tenant), source: "memory", ageMs: 12 }),
    reload: async () => ({ bundle: bundleOf(world.fresh ?? world.tenant), source: "directory", ageMs: 0 }),
    noteVersion() {},
  };
  // Only what these middlewares and routes read.
  const services = {
    settings: { corsOrigins: world.corsOrigins ?? [], adminToken: ADMIN_TOKEN, isLocal: true },
    tenants,
    bodies: createBodyMemory(Infinity, () => 0),
    unqueued: createUnqueuedRate(),
    now: () => NOON,
    directoryFor: () => ({}),
    findAdmin: async () => undefined,
  } as unknown as IsolateServices;
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.use(
    "*",
    requestScope({
      servicesOf: () => services,
      startTrace: ({ name, kind, traceparent, attributes = {} }) =>
        startTrace({ name, kind, attributes, ...(traceparent != null && { traceparent }) }).trace,
      exportTrace: async (trace, { isUnauthenticated }) => void exported.push({ trace, isUnauthenticated }),
    }),
    cors,
  );
  app.get("/healthz", (c) => c.text("ok"));
  app.use("/v1/*", authenticate);
  app.use("/admin/*", adminAuth);
  app.get("/v1/models", listModels);
  app.get("/v1/models/:model{.+}", getModel);
  app.get("/v1/limited", () => {
    const limit = { name: "concurrency", value: 4, remaining: 0 };
    throw new GatewayError("rate_limited", "Too many.", { limit, retryAfterMs: 1500 });
  });
  app.get("/v1/broken", () => {
    throw new TypeError("secret words of a bug");
  });
  app.get("/v1/stream", (c) => {
    endStream = c.var.scope.hold();
    return c.text("a stream");
  });
  app.notFound(createNotFound(app));
  const ctx = {
    waitUntil: (work: Promise<unknown>) => void held.push(work),
    passThroughOnException() {},
    props: {},
  };
  return {
    lookups,
    exported,
    held,
    endStream: () => endStream?.(),
    async call(
      path: string,
      headers: Readonly<Record<string, string>> = { authorization: `Bearer ${KEY}` },
      method = "GET",
    ) {
      // The bindings are never read: the services are fakes.
      return app.fetch(new Request(`https://gw.example${path}`, { method, headers }), {}, ctx);
    },
    async trace(): Promise<FinishedTrace> {
      const [first] = exported;
      if (!first) throw new Error("no trace was exported");
      return first.trace.finished;
    },
  };
}

const codeOf = async (response: Response): Promise<unknown> => {
  const { error } = await response.json<{ readonly error: { readonly code: unknown } }>();
  return error.code;
};

describe("every response", () => {
  test.each([
    ["an answer", "/v1/models", 200],
    ["a refusal", "/v1/limited", 429],
    ["a bug", "/v1/broken", 500],
    ["an unknown path", "/v1/nothing", 404],
  ])("that is %s has its ids, its trace and its timing", async (_, path, status) => {
    const world = createWorld();
    const response = await world.call(path);
    expect(response.status).toBe(status);
    const trace = await world.trace();
    const { headers } = response;
    expect(headers.get("x-request-id")).toMatch(/^req_[0-9a-f]{32}$/);
    expect(headers.get("request-id")).toBe(headers.get("x-request-id"));
    expect(headers.get("x-trace-id")).toBe(trace.traceId);
    expect(headers.get("traceresponse")).toBe(`00-${trace.traceId}-${trace.root.spanId}-01`);
    expect(headers.get("server-timing")).toMatch(
      /^queue;dur=\d+, cache;dur=\d+, upstream;dur=\d+, gateway;dur=\d+$/,
    );
    expect(trace.root.attributes).toMatchObject({
      "gateway.request.id": headers.get("x-request-id"),
      "http.response.status_code": status,
      "http.request.method": "GET",
      "server.address": "gw.example",
      "server.port": 443,
      "url.scheme": "https",
    });
    expect(checkTrace(asFlat(trace))).toEqual([]);
  });

  test("joins the caller's trace", async () => {
    const world = createWorld();
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const response = await world.call("/v1/models", {
      authorization: `Bearer ${KEY}`,
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
    });
    expect(response.headers.get("x-trace-id")).toBe(traceId);
    expect((await world.trace()).root.parentSpanId).toBe("b7ad6b7169203331");
  });

  test("is waited for, so that a client that leaves does not take lease and trace with it", async () => {
    const world = createWorld();
    await world.call("/v1/models");
    expect(world.held.length).toBeGreaterThan(0);
    await Promise.all(world.held);
    expect(world.exported).toHaveLength(1);
  });

  test("is named on its root by the route's template, never by the raw path", async () => {
    const world = createWorld();
    await world.call("/v1/models/a/x?key=secret");
    const { root } = await world.trace();
    expect(root.name).toBe("GET /v1/models/:model{.+}");
    expect(root.attributes["http.route"]).toBe("/v1/models/:model{.+}");
    expect(JSON.stringify(root)).not.toContain("secret");
  });
});

describe("a fault", () => {
  test("of the table has its numbers in headers, body and span alike", async () => {
    const world = createWorld();
    const response = await world.call("/v1/limited");
    expect(response.headers.get("retry-after")).toBe("2");
    expect(response.headers.get("retry-after-ms")).toBe("1500");
    expect(await codeOf(response)).toBe("rate_limited");
    expect((await world.trace()).root).toMatchObject({
      isError: false,
      attributes: {
        "gateway.outcome": "rejected",
        "gateway.decision": "rate_limited",
        "gateway.limit.name": "concurrency",
        "gateway.limit.value": 4,
        "gateway.retry_after_ms": 1500,
      },
    });
  });

  test("that was not foreseen is a fixed sentence, and its words go nowhere", async () => {
    const world = createWorld();
    const said: unknown[] = [];
    const { error } = console;
    console.error = (...words: unknown[]) => void said.push(...words);
    const response = await world.call("/v1/broken").finally(() => {
      console.error = error;
    });
    const trace = await world.trace();
    const body = await response.text();
    expect(body).toContain("internal_error");
    for (const text of [body, JSON.stringify(trace), said.join(" ")]) expect(text).not.toContain("secret");
    expect(said.join(" ")).toContain("TypeError");
    expect(trace.root).toMatchObject({
      isError: true,
      attributes: { "gateway.outcome": "gateway_error", "error.type": "internal_error" },
    });
  });
});

describe("a root", () => {
  test("that a stream holds ends with the stream", async () => {
    const world = createWorld();
    await world.call("/v1/stream");
    let isFinished = false;
    const finished = world.trace().then((trace) => {
      isFinished = true;
      return trace;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isFinished).toBe(false);
    world.endStream();
    expect((await finished).root.attributes["http.response.status_code"]).toBe(200);
  });

  test("of a look at the gateway itself is not exported", async () => {
    const world = createWorld();
    expect((await world.call("/healthz", {})).status).toBe(200);
    expect(world.exported).toEqual([]);
  });

  test("of a refusal without a known caller is marked, so that a flood of them can be counted", async () => {
    const world = createWorld();
    await world.call("/v1/models", {});
    await world.call("/v1/models");
    expect(world.exported.map(({ isUnauthenticated }) => isUnauthenticated)).toEqual([true, false]);
  });

  test("of a refusal to an operator is not, and of one without the token is", async () => {
    const world = createWorld();
    const tokens = [ADMIN_TOKEN, "wrong"];
    for (const token of tokens) {
      const answer = await world.call("/admin/nothing", { authorization: `Bearer ${token}` }, "PUT");
      expect(answer.status).toBe(token === ADMIN_TOKEN ? 404 : 401);
    }
    expect(world.exported.map(({ isUnauthenticated }) => isUnauthenticated)).toEqual([false, true]);
  });
});

describe("who calls", () => {
  test.each([
    ["authorization", `Bearer ${KEY}`],
    ["authorization", `bearer  ${KEY}`],
    ["x-api-key", KEY],
    ["x-goog-api-key", KEY],
  ])("is read from %s", async (header, value) => {
    const world = createWorld();
    expect((await world.call("/v1/models", { [header]: value })).status).toBe(200);
    const trace = await world.trace();
    expect(trace.tenantId).toBe("acme");
    expect(trace.root.attributes).toMatchObject({ "gateway.tenant.id": "acme", "gateway.key.id": "key-1" });
    expect(spanNamed(trace, "gateway.auth").attributes).toMatchObject({
      "gateway.auth.result": "ok",
      "gateway.auth.source": "kv",
    });
    expect(JSON.stringify(trace)).not.toContain(KEY);
    expect(JSON.stringify(trace)).not.toContain(hash);
  });

  test("is read from authorization where two are sent", async () => {
    const headers = { authorization: "Bearer nonsense", "x-api-key": KEY };
    expect((await createWorld().call("/v1/models", headers)).status).toBe(401);
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ["no key", {}],
    ["another scheme", { authorization: `Basic ${KEY}` }],
    ["a scheme without a key", { authorization: "Bearer" }],
    ["a key with something behind it", { authorization: `Bearer ${KEY} anything` }],
    ["two keys in one header", { authorization: `Bearer ${KEY}, Bearer ${KEY}` }],
    ["two keys with a space", { authorization: `Bearer ${KEY} ${KEY}` }],
    ["a key that is no key", { authorization: "Bearer sk-abc" }],
    [
      "a key with a wrong checksum",
      { authorization: `Bearer ${KEY.slice(0, -1)}${KEY.endsWith("a") ? "b" : "a"}` },
    ],
  ])("with %s is refused before anything is looked up", async (_, headers) => {
    const world = createWorld();
    const response = await world.call("/v1/models", headers);
    expect(response.status).toBe(401);
    expect(await codeOf(response)).toBe("invalid_api_key");
    expect(world.lookups).toEqual([]);
    expect(spanNamed(await world.trace(), "gateway.auth").attributes["gateway.auth.result"]).toBe(
      "invalid_api_key",
    );
  });

  test("with a well-formed but unknown key is refused", async () => {
    const other = generateKey((count) => new Uint8Array(count).fill(9));
    expect((await createWorld().call("/v1/models", { "x-api-key": other })).status).toBe(401);
  });

  test("with a key younger than the known records is let in by the newest ones", async () => {
    const world = createWorld({ tenant: { hasKey: false }, fresh: { version: 8 } });
    expect((await world.call("/v1/models")).status).toBe(200);
    const loads = spansNamed(await world.trace(), "gateway.config.load");
    expect(loads.map(({ attributes }) => attributes["gateway.config.source"])).toEqual([
      "memory",
      "directory",
    ]);
    expect(loads[1]?.attributes["gateway.config.version"]).toBe(8);
  });

  test.each<[string, FakeTenant]>([
    ["revoked", { hasKey: false }],
    ["expired", { key: { expiresAt: new Date(NOON).toISOString() } }],
  ])("with a key that was %s is refused", async (_, tenant) => {
    expect((await createWorld({ tenant }).call("/v1/models")).status).toBe(401);
  });

  test.each<[string, FakeTenant, string]>([
    ["of a suspended tenant", { record: { status: "suspended" } }, "tenant_suspended"],
    ["with a paused key", { key: { status: "paused" } }, "permission_denied"],
    [
      "with a paused key of a suspended tenant",
      { record: { status: "suspended" }, key: { status: "paused" } },
      "tenant_suspended",
    ],
  ])("%s is a 403 in the tenant's own trace, by its rules", async (_, tenant, code) => {
    const world = createWorld({ tenant });
    const response = await world.call("/v1/models");
    expect(response.status).toBe(403);
    expect(await codeOf(response)).toBe(code);
    expect(await world.trace()).toMatchObject({
      tenantId: "acme",
      root: { attributes: { "gateway.key.id": "key-1", "gateway.decision": code } },
    });
    expect(world.exported.map(({ isUnauthenticated }) => isUnauthenticated)).toEqual([false]);
  });

  test.each<[string, number, FakeTenant]>([
    [
      "of a suspended tenant",
      1,
      { record: { status: "suspended", limits: { unqueuedRequestsPerMinute: 6 } } },
    ],
    ["of a suspended tenant without limits", 100, { record: { status: "suspended" } }],
    ["with a paused key without limits", 100, { key: { status: "paused" } }],
  ])("%s too often is a 429, sampled like a stranger's refusals", async (_, burst, tenant) => {
    const world = createWorld({ tenant });
    const statuses: number[] = [];
    for (let call = 0; call <= burst; call += 1) statuses.push((await world.call("/v1/models")).status);
    expect(statuses).toEqual([...Array.from({ length: burst }, () => 403), 429]);
    const sampled = world.exported.map(({ isUnauthenticated }) => isUnauthenticated);
    expect(sampled).toEqual([...Array.from({ length: burst }, () => false), true]);
  });
});

describe("the list of models", () => {
  const ids = async (response: Response): Promise<readonly string[]> => {
    const { data } = await response.json<{ readonly data: readonly { readonly id: string }[] }>();
    return data.map(({ id }) => id);
  };

  test("is the tenant's routes and the targets behind them that exist", async () => {
    expect(await ids(await createWorld().call("/v1/models"))).toEqual(["chat", "a/x"]);
  });

  test("is only what the key may use", async () => {
    const tenant = { key: { allowedModels: ["a/*"] } };
    expect(await ids(await createWorld({ tenant }).call("/v1/models"))).toEqual(["a/x"]);
  });

  test("gives one by its name, slashes and all", async () => {
    expect(await (await createWorld().call("/v1/models/a/x")).json()).toEqual({
      id: "a/x",
      object: "model",
      created: 0,
      owned_by: "a",
    });
  });

  test.each(["gone/y", "nothing", "__proto__"])("has no %s", async (name) => {
    const response = await createWorld().call(`/v1/models/${name}`);
    expect(response.status).toBe(404);
    expect(await codeOf(response)).toBe("model_not_found");
  });
});

describe("a browser", () => {
  const origin = "https://app.example";

  test("gets no leave where no origin is set", async () => {
    const response = await createWorld().call("/v1/models", { authorization: `Bearer ${KEY}`, origin });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("of a named origin may read the answer, its headers, and a refusal", async () => {
    const world = createWorld({ corsOrigins: [origin] });
    for (const headers of [{ origin, authorization: `Bearer ${KEY}` }, { origin }]) {
      const response = await world.call("/v1/models", headers);
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
      const exposed = new Set(response.headers.get("access-control-expose-headers")?.split(","));
      expect([...response.headers.keys()].filter((name) => name.startsWith("x-"))).toSatisfy(
        (names: string[]) => names.every((name) => exposed.has(name)),
      );
      for (const name of ["x-headgate-saved-usd", "idempotent-replayed", "x-headgate-token-count"]) {
        expect(exposed).toContain(name);
      }
    }
  });

  test("of another origin may not", async () => {
    const world = createWorld({ corsOrigins: [origin] });
    const response = await world.call("/v1/models", { origin: "https://evil.example" });
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("asks beforehand without a key", async () => {
    const world = createWorld({ corsOrigins: [origin] });
    const headers = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,x-headgate-session",
    };
    const response = await world.call("/v1/chat/completions", headers, "OPTIONS");
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-headers")).toContain("x-headgate-session");
    expect(world.lookups).toEqual([]);
    expect(world.exported).toEqual([]);
  });
});
