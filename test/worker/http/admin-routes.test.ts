/** The admin plane over HTTP: src/docs/admin-api.md, in statuses, bodies and headers. */
import { Hono } from "hono";
import { beforeEach, describe, expect, it } from "vitest";
import { adminAudit } from "../../../routes/admin/audit.ts";
import { adminKeys } from "../../../routes/admin/keys.ts";
import { adminProviders } from "../../../routes/admin/providers.ts";
import { adminRoutes } from "../../../routes/admin/routes.ts";
import { adminTenants } from "../../../routes/admin/tenants.ts";
import type { AppEnv, RequestScope, Services } from "../../../src/app-types.ts";
import { createBodyMemory } from "../../../src/limits/isolate/body-memory.ts";
import { onError } from "../../../src/middleware/on-error.ts";
import { directoryClient, newTenantId } from "../tenants/directory-access.ts";

const bodies = createBodyMemory(10_000_000, () => 0.5);
const app = new Hono<AppEnv>();
app.onError(onError);
app.use(async (c, next) => {
  c.set("requestId", "req_test");
  // These routes use nothing but the directory, and count the bytes of their bodies.
  c.set("services", { bodies } as unknown as Services);
  c.set("directory", directoryClient());
  c.set("admin", { actor: "admin", name: "test", role: "operator" });
  c.set("scope", { facts: { startedAt: 0 } } as unknown as RequestScope);
  await next();
});
for (const routes of [adminTenants, adminKeys, adminProviders, adminRoutes, adminAudit])
  app.route("/admin", routes);

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; null for none. */
  readonly body: Readonly<Record<string, unknown>> | null;
}

let tenant: string;
beforeEach(() => {
  tenant = `/admin/tenants/${newTenantId()}`;
});

async function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const init = body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) };
  const response = await app.request(path, { method, headers, ...init });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text === "" ? null : JSON.parse(text),
  };
}

const ROUTE = { targets: [{ provider: "openai", model: "gpt-4o-mini" }] };

describe("a tenant", () => {
  it("is made with 201, replaced with 200, and deleted with 202 and the id of its erasure", async () => {
    expect((await call("PUT", tenant, { name: "Acme" })).status).toBe(201);
    expect((await call("PUT", tenant, { name: "Acme Ltd" })).status).toBe(200);
    expect((await call("GET", tenant)).body).toMatchObject({
      name: "Acme Ltd",
      status: "active",
      cache: { ttlSeconds: 3600 },
    });
    const deleted = await call("DELETE", tenant);
    expect(deleted).toMatchObject({ status: 202, body: { erasure: expect.any(String) } });
    const { erasure } = deleted.body as { readonly erasure: string };
    expect((await call("GET", `/admin/erasures/${erasure}`)).body).toMatchObject({ status: "running" });
    expect((await call("GET", "/admin/erasures/unknown")).status).toBe(404);
    expect((await call("PUT", tenant, {})).status).toBe(409);
    expect((await call("GET", tenant)).status).toBe(404);
    expect((await call("DELETE", tenant)).status).toBe(404);
  });

  it("takes its own answer back", async () => {
    await call("PUT", tenant, { name: "Acme", limits: { concurrency: 3 } });
    const { body } = await call("GET", tenant);
    expect((await call("PUT", tenant, body)).status).toBe(200);
    expect((await call("GET", tenant)).body).toEqual(body);
  });

  it("is written under if-match only as it was read", async () => {
    await call("PUT", tenant, { name: "one" });
    const etag = (await call("GET", tenant)).headers.get("etag") ?? "";
    expect(etag).toMatch(/^"\d+"$/);
    const written = await call("PUT", tenant, { name: "two" }, { "if-match": etag });
    expect(written.status).toBe(200);
    expect(written.headers.get("etag")).not.toBe(etag);
    for (const [method, body] of [
      ["PUT", { name: "three" }],
      ["PATCH", { name: "three" }],
      ["DELETE", undefined],
    ] as const) {
      const refused = await call(method, tenant, body, { "if-match": etag });
      expect(refused).toMatchObject({
        status: 412,
        body: { code: "precondition_failed", param: "if-match" },
      });
    }
    expect((await call("GET", tenant)).body).toMatchObject({ name: "two" });
  });

  it("keeps its etag when only its keys, providers or routes change", async () => {
    await call("PUT", tenant, {});
    const etag = (await call("GET", tenant)).headers.get("etag");
    await call("PUT", `${tenant}/routes/chat`, ROUTE);
    await call("POST", `${tenant}/keys`, { name: "k" });
    expect((await call("GET", tenant)).headers.get("etag")).toBe(etag);
  });

  it("is patched member by member, and null takes a member away", async () => {
    await call("PUT", tenant, {
      name: "Acme",
      limits: { concurrency: 3, requestsPerMinute: 60 },
      budget: { usd: 5, period: "day" },
    });
    const patch = { budget: null, limits: { concurrency: null, burst: 7 }, status: "suspended" };
    const { status, body } = await call("PATCH", tenant, patch);
    expect(status).toBe(200);
    expect(body).toMatchObject({ name: "Acme", status: "suspended" });
    expect(body?.["limits"]).toEqual({ requestsPerMinute: 60, burst: 7 });
    expect(body).not.toHaveProperty("budget");
    expect((await call("GET", tenant)).body).toEqual(body);
  });

  it.each([
    [{ limitz: {} }, "limitz"],
    [{ limits: { concurrency: -1 } }, "limits.concurrency"],
    [{ limits: { queue: { depth: 1 } } }, "limits.queue.depth"],
  ])("is refused with the field's name by PUT and PATCH: %j", async (body, param) => {
    await call("PUT", tenant, {});
    for (const method of ["PUT", "PATCH"]) {
      const refused = await call(method, tenant, body);
      expect(refused.headers.get("content-type")).toBe("application/problem+json");
      expect(refused).toMatchObject({
        status: 400,
        body: { type: "about:blank", status: 400, code: "invalid_request", param, requestId: "req_test" },
      });
      expect(refused.body?.["detail"]).toContain(param);
    }
  });

  it.each(["", "{", "[]", "null", '"text"'])("is refused as the body %j", async (body) => {
    expect(await call("PUT", tenant, body)).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });

  it("is refused under a name that can't be one", async () => {
    expect(await call("PUT", "/admin/tenants/No%20Name", {})).toMatchObject({
      status: 400,
      body: { param: "tenant" },
    });
  });

  it("is listed with the others in pages", async () => {
    await call("PUT", tenant, {});
    await call("PUT", `${tenant}-2`, {});
    const first = await call("GET", "/admin/tenants?limit=1");
    expect(first.body?.["items"]).toHaveLength(1);
    const next = await call("GET", `/admin/tenants?limit=1&cursor=${String(first.body?.["cursor"])}`);
    expect(next.body?.["items"]).not.toEqual(first.body?.["items"]);
    expect((await call("GET", "/admin/tenants?limit=1000")).body).toMatchObject({ cursor: null });
  });

  it.each(["0", "1001", "-1", "x", "1.5"])("is not listed with limit=%s", async (limit) => {
    expect(await call("GET", `/admin/tenants?limit=${limit}`)).toMatchObject({
      status: 400,
      body: { param: "limit" },
    });
  });
});

describe("a provider", () => {
  const PROVIDER = {
    kind: "openai",
    apiKey: "sk-canary-0123456789ab",
    headers: { "X-Team": "team-canary-0123456" },
  };

  beforeEach(async () => {
    await call("PUT", tenant, {});
  });

  it("shows masks in place of its secrets, in each answer", async () => {
    const path = `${tenant}/providers/openai`;
    const answers = [
      await call("PUT", path, PROVIDER),
      await call("PUT", path, PROVIDER),
      await call("GET", path),
      await call("GET", `${tenant}/providers`),
    ];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200]);
    for (const { text } of answers) {
      expect(text).toContain("sk-…89ab");
      expect(text).not.toContain("canary");
    }
    expect(answers[3]?.body).toMatchObject({ items: [{ name: "openai", kind: "openai" }], cursor: null });
  });

  it("keeps its secrets when an edited answer is sent back", async () => {
    const path = `${tenant}/providers/openai`;
    await call("PUT", path, PROVIDER);
    const { body } = await call("GET", path);
    const edited = await call("PUT", path, { ...body, propagateTrace: true });
    expect(edited).toMatchObject({ status: 200, body: { ...body, propagateTrace: true } });
    expect(await call("PUT", `${tenant}/providers/other`, { ...body, name: "other" })).toMatchObject({
      status: 400,
      body: { param: "apiKey" },
    });
  });

  it.each(["http://api.example.com/v1", "https://192.168.0.1/v1", "https://localhost/v1"])(
    "is refused at %s when deployed",
    async (baseUrl) => {
      const refused = await call("PUT", `${tenant}/providers/up`, { kind: "openai", baseUrl });
      expect(refused).toMatchObject({ status: 400, body: { code: "invalid_request", param: "baseUrl" } });
    },
  );

  it("is gone after DELETE", async () => {
    const path = `${tenant}/providers/openai`;
    await call("PUT", path, PROVIDER);
    expect((await call("DELETE", path, undefined, { "if-match": '"1"' })).status).toBe(412);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("GET", path)).status).toBe(404);
  });
});

describe("a route", () => {
  beforeEach(async () => {
    await call("PUT", tenant, {});
  });

  it("is made, read, listed, replaced and deleted", async () => {
    const path = `${tenant}/routes/chat`;
    expect((await call("PUT", path, ROUTE)).status).toBe(201);
    expect((await call("PUT", path, { ...ROUTE, strategy: "weighted" })).status).toBe(200);
    expect((await call("GET", path)).body).toMatchObject({ name: "chat", strategy: "weighted", ...ROUTE });
    expect((await call("GET", `${tenant}/routes`)).body).toMatchObject({ items: [{ name: "chat" }] });
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("GET", path)).status).toBe(404);
  });

  it("has its semantic cache embedded by a provider of the tenant's own", async () => {
    const path = `${tenant}/routes/chat`;
    const body = { ...ROUTE, cache: { semantic: { embedding: "openai/e", threshold: 0.9 } } };
    expect(await call("PUT", path, body)).toMatchObject({
      status: 400,
      body: { param: "cache.semantic.embedding" },
    });
    await call("PUT", `${tenant}/providers/openai`, { kind: "openai", apiKey: "sk-1" });
    expect((await call("PUT", path, body)).status).toBe(201);
    expect((await call("GET", path)).body).toMatchObject(body);
    expect((await call("PUT", `${tenant}-gone/routes/chat`, body)).status).toBe(404);
  });

  it("is refused with the field's name", async () => {
    const body = { targets: [{ provider: "openai", model: "m", wieght: 1 }] };
    expect(await call("PUT", `${tenant}/routes/chat`, body)).toMatchObject({
      status: 400,
      body: { param: "targets[0].wieght" },
    });
  });
});

describe("a key", () => {
  beforeEach(async () => {
    await call("PUT", tenant, {});
  });

  it("is shown when it is made, and never again", async () => {
    const made = await call("POST", `${tenant}/keys`, { name: "ci", metadata: { team: "a" } });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "ci", metadata: { team: "a" }, lastUsedAt: null, id: expect.stringMatching(/^key_/) },
    });
    expect(made.headers.get("cache-control")).toBe("no-store");
    const key = String(made.body?.["key"]);
    expect(key).toMatch(/^hg_/);
    const list = await call("GET", `${tenant}/keys`);
    const { key: _key, ...shown } = made.body ?? {};
    expect(list.body).toEqual({ items: [shown], cursor: null });
    expect(list.text).not.toMatch(/hash|hg_/);
  });

  it("is rotated with and without a body, and is gone after DELETE", async () => {
    const made = await call("POST", `${tenant}/keys`, { name: "ci" });
    const path = `${tenant}/keys/${String(made.body?.["id"])}`;
    const first = await call("POST", `${path}/rotate`);
    const second = await call("POST", `${path}/rotate`, { overlapSeconds: 60 });
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(new Set([made, first, second].map(({ body }) => body?.["key"])).size).toBe(3);
    expect(second.body).toMatchObject({ id: made.body?.["id"] });
    expect(second.text).not.toMatch(/hash|previous/);
    expect((await call("POST", `${path}/rotate`, { overlapSeconds: -1 })).status).toBe(400);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("DELETE", path)).status).toBe(404);
    expect((await call("POST", `${path}/rotate`)).status).toBe(404);
  });

  it("is refused without a name, or with an unknown field", async () => {
    expect(await call("POST", `${tenant}/keys`, {})).toMatchObject({ status: 400, body: { param: "name" } });
    expect(await call("POST", `${tenant}/keys`, { name: "k", expires: 1 })).toMatchObject({
      status: 400,
      body: { param: "expires" },
    });
  });
});

describe("a key that is patched", () => {
  const RIGHTS = {
    name: "ci",
    allowedModels: ["chat-*"],
    endpoints: ["chat"],
    limits: { concurrency: 2 },
    budget: { usd: 5, period: "day" },
    metadata: { team: "a", tier: "free" },
    expiresAt: "2099-01-01T00:00:00Z",
  };
  let path: string;
  let made: Readonly<Record<string, unknown>>;
  beforeEach(async () => {
    await call("PUT", tenant, {});
    made = (await call("POST", `${tenant}/keys`, RIGHTS)).body ?? {};
    path = `${tenant}/keys/${String(made["id"])}`;
  });

  const listed = async () => (await call("GET", `${tenant}/keys`)).body?.["items"];

  it("changes what the patch names, and answers with the whole record and its etag", async () => {
    const patch = {
      name: "ci 2",
      status: "paused",
      allowedModels: null,
      limits: { requestsPerMinute: 10 },
      metadata: { tier: "gold" },
    };
    const answer = await call("PATCH", path, patch);
    const { key: _, allowedModels: __, ...kept } = made;
    const expected = {
      ...kept,
      name: "ci 2",
      status: "paused",
      limits: { concurrency: 2, requestsPerMinute: 10 },
      metadata: { team: "a", tier: "gold" },
    };
    expect(answer).toMatchObject({ status: 200, body: expected });
    expect(answer.headers.get("etag")).toMatch(/^"\d+"$/);
    expect(await listed()).toEqual([expected]);
    expect((await call("GET", "/admin/audit?limit=1")).body?.["items"]).toMatchObject([
      { action: "key.patch", subject: made["id"] },
    ]);
  });

  it("takes back what GET shows", async () => {
    const [shown] = (await listed()) as readonly unknown[];
    expect(await call("PATCH", path, shown)).toMatchObject({ status: 200, body: shown });
  });

  it.each([
    ["its id", { id: "key_other" }, "id"],
    ["the time it was made", { createdAt: "2020-01-01T00:00:00Z" }, "createdAt"],
    ["the key itself", { key: "hg_mine" }, "key"],
    ["its hash", { hash: "0".repeat(64) }, "hash"],
    ["the key it replaced", { previous: { hash: "0".repeat(64), validUntil: 1e15 } }, "previous"],
    ["its name to nothing", { name: null }, "name"],
    ["its state to an unknown one", { status: "admin" }, "status"],
    ["its expiry to the past", { expiresAt: "2020-01-01T00:00:00Z" }, "expiresAt"],
    ["its endpoints to unknown ones", { endpoints: ["admin"] }, "endpoints[0]"],
    ["its limits to unknown ones", { limits: { requests: 1 } }, "limits.requests"],
  ])("can't change %s", async (_, patch, param) => {
    expect(await call("PATCH", path, patch)).toMatchObject({
      status: 400,
      body: { code: "invalid_request", param },
    });
    const { key: _key, ...unchanged } = made;
    expect(await listed()).toEqual([unchanged]);
  });

  it("obeys if-match, and is not found in another tenant", async () => {
    const { headers } = await call("PATCH", path, { name: "one" });
    const ifMatch = { "if-match": headers.get("etag") ?? "" };
    expect((await call("PATCH", path, { name: "two" }, ifMatch)).status).toBe(200);
    expect((await call("PATCH", path, { name: "three" }, ifMatch)).status).toBe(412);
    const other = `/admin/tenants/${newTenantId()}`;
    await call("PUT", other, {});
    expect((await call("PATCH", `${other}/keys/${String(made["id"])}`, { name: "x" })).status).toBe(404);
    expect((await call("PATCH", `${tenant}/keys/none`, { name: "x" })).status).toBe(404);
  });

  it("keeps each of two changes that meet", async () => {
    await Promise.all([
      call("PATCH", path, { metadata: { one: "1" } }),
      call("PATCH", path, { metadata: { two: "2" } }),
    ]);
    expect(await listed()).toMatchObject([{ metadata: { one: "1", two: "2" } }]);
  });
});

it("purges a tenant's cache by a new epoch", async () => {
  await call("PUT", tenant, {});
  expect(await call("POST", `${tenant}/cache/purge`)).toMatchObject({ status: 200, body: { epoch: 1 } });
  expect((await call("POST", `${tenant}-nobody/cache/purge`)).status).toBe(404);
});

it("lists the audit in pages, and refuses a cursor that it has not given out", async () => {
  await call("PUT", tenant, {});
  await call("PUT", `${tenant}/routes/chat`, ROUTE);
  const first = await call("GET", "/admin/audit?limit=1");
  expect(first.body?.["items"]).toMatchObject([{ action: "route.put", subject: "chat", actor: "admin" }]);
  const next = await call("GET", `/admin/audit?limit=1&cursor=${String(first.body?.["cursor"])}`);
  expect(next.body?.["items"]).toMatchObject([{ action: "tenant.put", subject: "" }]);
  expect(await call("GET", "/admin/audit?cursor=x")).toMatchObject({
    status: 400,
    body: { param: "cursor" },
  });
});
