// Wrong method or unknown path, told from the route table itself: 405 with `allow`, or 404.
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import type { AppEnv } from "../../../src/app-types.ts";
import { createNotFound } from "../../../src/middleware/method-guard.ts";
import { onError } from "../../../src/middleware/on-error.ts";

function createApp(): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.onError(onError);
  app.use("*", async (c, next) => {
    c.set("requestId", "req_1");
    await next();
  });
  app.use("/v1/*", (_, next) => next());
  app.all("/any/*", (c) => c.text("any"));
  app.get("/healthz", (c) => c.text("ok"));
  app.post("/v1/chat/completions", (c) => c.text("chat"));
  app.get("/v1/models", (c) => c.text("models"));
  app.get("/v1/models/:model{.+}", (c) => c.text(c.req.param("model")));
  const admin = new Hono<AppEnv>();
  admin.put("/tenants/:tenant", (c) => c.text("put"));
  admin.patch("/tenants/:tenant", (c) => c.text("patch"));
  admin.delete("/tenants/:tenant", (c) => c.text("delete"));
  admin.get("/tenants/:tenant", (c) => c.text("get"));
  app.route("/admin", admin);
  app.notFound(createNotFound(app));
  return app;
}

const app = createApp();
const call = async (method: string, path: string) => app.request(`http://gw${path}`, { method });

describe("a path that takes other methods", () => {
  test.each([
    ["GET", "/v1/chat/completions", "POST"],
    ["DELETE", "/v1/chat/completions", "POST"],
    ["OPTIONS", "/v1/chat/completions", "POST"],
    ["POST", "/healthz", "GET"],
    ["POST", "/v1/models", "GET"],
    ["POST", "/v1/models/openai/gpt-4o", "GET"],
    ["POST", "/admin/tenants/acme", "DELETE, GET, PATCH, PUT"],
    ["POST", "/admin/tenants/a%2Fb", "DELETE, GET, PATCH, PUT"],
  ])("answers %s %s by 405 and names %s", async (method, path, allow) => {
    const response = await call(method, path);
    expect(response.status).toBe(405);
    expect(response.headers.get("allow")).toBe(allow);
  });

  test("says so in its plane's own form", async () => {
    const data: unknown = await (await call("GET", "/v1/chat/completions")).json();
    expect(data).toEqual({
      error: {
        message: "GET is not allowed here. Allowed methods: POST.",
        type: "invalid_request_error",
        param: null,
        code: "method_not_allowed",
      },
    });
    const admin = await call("POST", "/admin/tenants/acme");
    expect(admin.headers.get("content-type")).toBe("application/problem+json");
    expect(await admin.json()).toMatchObject({ status: 405, code: "method_not_allowed", requestId: "req_1" });
  });
});

describe("a path that is none", () => {
  test.each([
    "/",
    "/v1",
    "/v1/",
    "/v1/chat",
    "/v1/chat/completions/",
    "/v1/chat/completions/extra",
    "/v1//chat/completions",
    "/V1/chat/completions",
    "/v1/models/",
    "/healthz/extra",
    "/admin/tenants",
    "/admin/tenants/",
    "/admin/tenants/acme/nothing",
    "/constructor",
  ])("answers GET %s by 404", async (path) => {
    const response = await call("GET", path);
    expect(response.status).toBe(404);
    expect(response.headers.get("allow")).toBeNull();
    expect(await response.text()).toContain('"not_found"');
  });

  test("never says that a path takes the very method it was called by", async () => {
    for (const path of ["/v1/models/", "/admin/tenants/"]) {
      expect((await call("GET", path)).status).toBe(404);
    }
  });

  test("is not repeated whole when it is long, nor with its query", async () => {
    const response = await call("GET", `/${"x".repeat(5000)}?key=secret`);
    const body = await response.text();
    expect(response.status).toBe(404);
    expect(body.length).toBeLessThan(500);
    expect(body).not.toContain("secret");
  });
});

test("a path for any method takes any", async () => {
  expect((await call("PURGE", "/any/thing")).status).toBe(200);
});
