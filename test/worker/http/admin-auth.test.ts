/** Who may use the admin plane, and what is said to those who may not. */
import { Hono } from "hono";
import { beforeAll, describe, expect, it } from "vitest";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import type { AppEnv, Services } from "../../../src/app-types.ts";
import { readSettings } from "../../../src/config.ts";
import { beginConsoleSession } from "../../../src/http/console-session.ts";
import { adminAuth, adminReadAuth } from "../../../src/middleware/admin-auth.ts";
import { localHost } from "../../../src/middleware/local-host.ts";
import { onError } from "../../../src/middleware/on-error.ts";

const TOKEN = "the-operators-token-0123456789";

const audited: string[] = [];

interface Asked {
  readonly authorization?: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly host?: string;
  readonly path?: string;
  readonly init?: RequestInit;
}

async function send({
  authorization = `Bearer ${TOKEN}`,
  env = { ADMIN_TOKEN: TOKEN },
  host = "gateway.example.com",
  path = "/admin/tenants",
  init = {},
}: Asked): Promise<Response> {
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.use(async (c, next) => {
    c.set("requestId", "req_test");
    c.set("settings", readSettings(env));
    const noteOrder = async (tenant: string, action: string, subject?: string): Promise<void> =>
      void audited.push([tenant, action, subject ?? ""].join(" "));
    // Only what the middleware calls is there.
    c.set("services", {
      directoryFor: () => ({ noteOrder }),
      findAdmin: async () => undefined,
    } as unknown as Services);
    await next();
  }, localHost);
  app.use("/admin/*", adminAuth);
  app.use("/metrics", adminReadAuth);
  app.use("/jaeger/*", adminReadAuth);
  app.all("*", (c) => c.text("in"));
  const headers = { ...(authorization !== "" && { authorization }), ...init.headers };
  const request = new Request(`http://${host}${path}`, { ...init, headers });
  const context = createExecutionContext();
  const response = await app.fetch(request, {}, context);
  await waitOnExecutionContext(context);
  return response;
}

const ask = (authorization: string | undefined, env?: Readonly<Record<string, string>>, host?: string) =>
  send({ authorization: authorization ?? "", ...(env && { env }), ...(host !== undefined && { host }) });

describe("the admin plane", () => {
  it.each([`Bearer ${TOKEN}`, `bearer  ${TOKEN}`])("lets in %s", async (authorization) => {
    expect((await ask(authorization)).status).toBe(200);
  });

  it.each([
    undefined,
    "",
    TOKEN,
    "Bearer",
    "Bearer wrong",
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(0, -1)}`,
    `Bearer ${TOKEN} x`,
    `Basic ${TOKEN}`,
    `Basic ${btoa(`${TOKEN}:wrong`)}`,
    `Basic ${btoa(TOKEN)}`,
    `Basic ${btoa(`anyone:${TOKEN}`)}`,
    "Bearer dev",
  ])("refuses %j with 401 and how to do it", async (authorization) => {
    const response = await ask(authorization);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ status: 401, code: "invalid_api_key", param: "authorization" });
    expect(text).not.toContain(TOKEN);
  });

  it("is closed with 503 to all where no token is set", async () => {
    for (const authorization of [undefined, "Bearer dev", "Bearer undefined"]) {
      const response = await ask(authorization, {});
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ code: "unavailable", param: "ADMIN_TOKEN" });
    }
  });

  it("makes an address that guesses wait, right token or not, and audits it; others are let in", async () => {
    const from = (address: string, authorization: string) =>
      send({ authorization, init: { headers: { "cf-connecting-ip": address } } });
    const statuses: number[] = [];
    for (let guess = 0; guess < 300; guess += 1) {
      statuses.push((await from("203.0.113.7", `Bearer guess-${guess}`)).status);
    }
    expect(statuses.filter((status) => status === 401).length).toBeLessThan(10);
    expect(statuses.at(-1)).toBe(429);
    const right = await from("203.0.113.7", `Bearer ${TOKEN}`);
    expect(right.status).toBe(429);
    expect(Number(right.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await from("203.0.113.8", `Bearer ${TOKEN}`)).status).toBe(200);
    expect(audited.every((entry) => entry === " admin.refused 203.0.113.7")).toBe(true);
    expect(audited.length).toBeGreaterThan(0);
    expect(audited.length).toBeLessThan(5);
  });

  it("has no token of its own in a local run", async () => {
    expect((await ask("Bearer dev", { DEV_TENANT: "true" }, "localhost")).status).toBe(503);
    const env = { DEV_TENANT: "true", ADMIN_TOKEN: TOKEN };
    expect((await ask("Bearer dev", env, "localhost")).status).toBe(401);
    expect((await ask(`Bearer ${TOKEN}`, env, "localhost")).status).toBe(200);
  });

  it.each([
    ["a page of another site", { origin: "http://evil.example" }],
    ["a page that has no origin", { origin: "null" }],
    ["another port of this machine", { origin: "http://gateway.example.com:3000" }],
    ["a fetch across sites", { "sec-fetch-site": "cross-site" }],
    ["a sister domain", { "sec-fetch-site": "same-site" }],
  ])("refuses %s, even with the token", async (_, headers) => {
    for (const method of ["GET", "POST", "DELETE"])
      for (const path of ["/admin/tenants", "/metrics", "/jaeger/api/services"])
        expect((await send({ path, init: { method, headers } })).status).toBe(403);
  });

  it("lets in its own pages and what is not a browser", async () => {
    const own = { origin: "https://gateway.example.com", "sec-fetch-site": "same-origin" };
    expect((await send({ init: { headers: own } })).status).toBe(200);
    expect((await send({ init: { headers: { "sec-fetch-site": "none" } } })).status).toBe(200);
  });

  it.each([
    ["application/json", 200],
    ["application/json; charset=utf-8", 200],
    ["application/merge-patch+json", 200],
    ["text/plain", 400],
    ["application/x-www-form-urlencoded", 400],
    ["multipart/form-data; boundary=x", 400],
    ["application/jsonx", 400],
    ["text/plain; application/json", 400],
  ])("answers a body of %s with %i", async (type, status) => {
    const init = { method: "POST", body: "{}", headers: { "content-type": type, "content-length": "2" } };
    expect((await send({ init })).status).toBe(status);
  });

  it("takes a write without a body", async () => {
    expect((await send({ init: { method: "DELETE" } })).status).toBe(200);
  });
});

describe("what Grafana reads", () => {
  const basic = `Basic ${btoa(`anyone:${TOKEN}`)}`;

  it.each(["/metrics", "/jaeger/api/services"])("takes Basic on %s for reads alone", async (path) => {
    expect((await send({ authorization: basic, path })).status).toBe(200);
    expect((await send({ authorization: basic, path, init: { method: "HEAD" } })).status).toBe(200);
    expect((await send({ authorization: basic, path, init: { method: "POST" } })).status).toBe(401);
    expect((await send({ authorization: `Basic ${btoa("anyone:wrong")}`, path })).status).toBe(401);
  });
});

describe("a local run", () => {
  const env = { DEV_TENANT: "true", ADMIN_TOKEN: TOKEN };

  it.each(["localhost:8787", "127.0.0.1:8787", "[::1]:8787"])("answers to %s", async (host) => {
    for (const path of ["/healthz", "/v1/models", "/admin/tenants"])
      expect((await send({ env, host, path })).status).toBe(200);
  });

  it.each([
    "evil.example:8787",
    "localhost.evil.example",
    "192.168.0.7",
    "127.0.0.2",
    "localhost.",
    "0.0.0.0",
  ])("does not answer to %s, on any path and with any credential", async (host) => {
    for (const path of ["/healthz", "/v1/models", "/admin/tenants", "/nothing"])
      expect((await send({ env, host, path })).status).toBe(403);
  });

  it("checks the Host header too, where the URL says otherwise", async () => {
    const init = { headers: { host: "evil.example" } };
    expect((await send({ env, host: "localhost", init })).status).toBe(403);
  });

  it("is not checked when deployed", async () => {
    expect((await send({ host: "192.168.0.7" })).status).toBe(200);
  });
});

describe("a console session", () => {
  const session = (cookie: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    send({ authorization: "", init: { headers: { cookie, ...headers } } });
  const settings = readSettings({ ADMIN_TOKEN: TOKEN });
  const sessionOf = async (token: string, now = Date.now()): Promise<string> =>
    (await beginConsoleSession(token, settings, now)).split(";", 1)[0] ?? "";
  let good: string;
  beforeAll(async () => {
    good = await sessionOf(TOKEN);
  });

  it("opens what its token opens, to pages of our own", async () => {
    expect((await session(good, { "sec-fetch-site": "same-origin" })).status).toBe(200);
    expect((await session(await sessionOf("wrong-token-0123456789"))).status).toBe(401);
    expect((await session(good.replace("__Host-", ""))).status).toBe(401);
  });

  it("is no bare token, and none from 12 hours ago", async () => {
    expect((await session(`__Host-headgate-session=${TOKEN}`)).status).toBe(401);
    expect((await session(await sessionOf(TOKEN, Date.now() - 12 * 3_600_000))).status).toBe(401);
  });

  it("opens nothing to another site's page, nor to a form", async () => {
    expect((await session(good, { "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await session(good, { origin: "https://evil.example" })).status).toBe(403);
    const init = {
      method: "POST",
      body: "a=b",
      headers: { cookie: good, "content-type": "application/x-www-form-urlencoded" },
    };
    expect((await send({ authorization: "", init })).status).toBe(400);
  });

  it("is not used where the header is wrong", async () => {
    expect((await session(good, { authorization: "Bearer wrong" })).status).toBe(401);
  });
});
