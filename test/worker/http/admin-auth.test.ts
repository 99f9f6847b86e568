/** Who may use the admin plane, and what is said to those who may not. */
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import type { AppEnv } from "../../../src/app-types.ts";
import { readSettings } from "../../../src/config.ts";
import { adminAuth } from "../../../src/middleware/admin-auth.ts";
import { onError } from "../../../src/middleware/on-error.ts";

const TOKEN = "the-operators-token";

async function ask(
  authorization: string | undefined,
  env: Readonly<Record<string, string>> = { ADMIN_TOKEN: TOKEN },
  host = "gateway.example.com",
): Promise<Response> {
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.use(async (c, next) => {
    c.set("requestId", "req_test");
    c.set("settings", readSettings(env));
    await next();
  });
  app.use(adminAuth);
  app.get("/admin/tenants", (c) => c.text("in"));
  const headers = authorization === undefined ? {} : { authorization };
  return app.request(`http://${host}/admin/tenants`, { headers });
}

describe("the admin plane", () => {
  it.each([
    `Bearer ${TOKEN}`,
    `bearer  ${TOKEN}`,
    `Basic ${btoa(`anyone:${TOKEN}`)}`,
    `Basic ${btoa(`:${TOKEN}`)}`,
  ])("lets in %s", async (authorization) => {
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

  it("is closed with 503 where no token is set, whoever asks", async () => {
    for (const authorization of [undefined, "Bearer dev", "Bearer undefined"]) {
      const response = await ask(authorization, {});
      expect(response.status).toBe(503);
      expect(await response.json()).toMatchObject({ code: "unavailable", param: "ADMIN_TOKEN" });
    }
  });

  it.each(["localhost:8787", "127.0.0.1:8787", "[::1]:8787"])(
    "takes dev on %s in a local run",
    async (host) => {
      expect((await ask("Bearer dev", { DEV_TENANT: "true" }, host)).status).toBe(200);
      expect((await ask("Bearer wrong", { DEV_TENANT: "true" }, host)).status).toBe(401);
      expect((await ask("Bearer dev", {}, host)).status).toBe(503);
    },
  );

  it.each(["gateway.example.com", "localhost.evil.example", "192.168.0.7"])(
    "does not take dev on %s, even in a local run",
    async (host) => {
      expect((await ask("Bearer dev", { DEV_TENANT: "true" }, host)).status).toBe(503);
    },
  );

  it("does not take dev where a token is set", async () => {
    const env = { DEV_TENANT: "true", ADMIN_TOKEN: TOKEN };
    expect((await ask("Bearer dev", env, "localhost")).status).toBe(401);
    expect((await ask(`Bearer ${TOKEN}`, env, "localhost")).status).toBe(200);
  });
});
