/**
 * A tenant is deleted, and another one of its name is made as soon as that is possible: it sees nothing of the first. The whole Worker
 * over the real objects, and in one isolate, which still has what it kept of the first one.
 */
import { env } from "cloudflare:workers";
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { afterAll, describe, expect, it, vi } from "vitest";
import worker from "../../../src/worker.ts";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { finishErasures, newTenantId } from "./directory-access.ts";

const SECRET = "canary of customer one";
const ORIGIN = "https://gateway.example";
const tenantId = newTenantId();
const root = `/admin/tenants/${tenantId}`;

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What requests have deferred takes up to 5 s each: it is waited for once. */
const contexts: ExecutionContext[] = [];
afterAll(async () => {
  await Promise.all(contexts.map(waitOnExecutionContext));
  vi.restoreAllMocks();
}, 60_000);

async function call(
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): Promise<Answer> {
  const context = createExecutionContext();
  const request = new Request(ORIGIN + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const response = await worker.fetch(request, env, context);
  const text = await response.text();
  contexts.push(context);
  return { status: response.status, headers: response.headers, text };
}

const admin = (method: string, path: string, body?: unknown): Promise<Answer> =>
  call(method, path, { authorization: `Bearer ${TEST_VARS["ADMIN_TOKEN"]}` }, body);

function chat(key: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const body = { model: "sim/echo", messages: [{ role: "user", content: SECRET }] };
  return call("POST", "/v1/chat/completions", { authorization: `Bearer ${key}`, ...headers }, body);
}

/** The same records for both customers, so that nothing but the tenant tells them apart. */
async function makeTenant(name: string): Promise<string> {
  const record = {
    name,
    budget: { usd: 5, period: "month" },
    prices: { "sim/echo": { input: 1000, output: 1000 } },
    cache: { enabled: true, share: "tenant" },
    tracing: { content: "full" },
  };
  expect(await admin("PUT", root, record)).toMatchObject({ status: 201 });
  expect(await admin("PUT", `${root}/providers/sim`, { kind: "sim" })).toMatchObject({ status: 201 });
  const made = await admin("POST", `${root}/keys`, { name: "k" });
  return JSON.parse(made.text).key;
}

async function spentUsd(): Promise<number> {
  return JSON.parse((await admin("GET", `${root}/queue`)).text).spentUsd.month;
}

let first: { readonly key: string; readonly traceId: string };
let secondKey: string;

describe("the second tenant of a name", () => {
  it("can be made a minute after the first one was deleted, and not before", async () => {
    const key = await makeTenant("Customer one");
    const whole = await chat(key, { "idempotency-key": "job-1" });
    expect(whole.status).toBe(200);
    await vi.waitFor(async () => expect((await chat(key)).headers.get("x-headgate-cache")).toBe("HIT"));
    expect((await chat(key, { "x-headgate-cache": "off" })).status).toBe(200);
    first = { key, traceId: whole.headers.get("x-trace-id") ?? "" };
    expect(await spentUsd()).toBeGreaterThan(0);
    expect((await admin("GET", `/admin/traces/${first.traceId}`)).text).toContain(SECRET);
    expect((await admin("DELETE", root)).status).toBe(202);
    expect((await admin("PUT", root, {})).status).toBe(409);
    // A minute passes, for the isolate as for the directory.
    const realNow = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => realNow() + 61_000);
    await finishErasures();
    secondKey = await makeTenant("Customer two");
  });

  it("is not opened by the first one's key, in an isolate that knows it", async () => {
    expect((await chat(first.key)).status).toBe(401);
  });

  it("has spent only what its own requests cost, and gets answers of its own", async () => {
    expect(await spentUsd()).toBe(0);
    const answer = await chat(secondKey, { "idempotency-key": "job-1" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("idempotent-replayed")).toBeNull();
    expect(answer.headers.get("x-headgate-cache")).toBe("MISS");
    expect(answer.headers.get("x-headgate-attempts")).toBe("1");
    const cost = Number(answer.headers.get("x-headgate-cost-usd"));
    expect(cost).toBeGreaterThan(0);
    expect(await spentUsd()).toBeCloseTo(cost, 6);
  });

  it("finds none of the first one's traces, by list or by id", async () => {
    const { items } = JSON.parse((await admin("GET", `/admin/traces?tenant=${tenantId}&limit=200`)).text);
    const ids = items.map(({ traceId }: { readonly traceId: string }) => traceId);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids).not.toContain(first.traceId);
    expect((await admin("GET", `/admin/traces/${first.traceId}`)).status).toBe(404);
    expect((await admin("GET", `/jaeger/api/traces/${first.traceId}`)).status).toBe(404);
  });

  it("has an export, a queue and keys of its own", async () => {
    const { items } = JSON.parse((await admin("GET", `${root}/export`)).text);
    const enqueued = items.map((item: { readonly enqueued: number }) => item.enqueued);
    // The second one's own requests in this file so far.
    expect(Math.max(...enqueued)).toBeLessThanOrEqual(2);
    expect(JSON.parse((await admin("GET", `${root}/queue`)).text)).toMatchObject({ depth: 0, waiting: [] });
    expect(JSON.parse((await admin("GET", `${root}/keys`)).text).items).toHaveLength(1);
  });
});
