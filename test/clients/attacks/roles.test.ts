// Every route of the app with every credential: who is let in, and what the others get. The expected answers are routes.ts, which also
// makes the table in src/docs/security.md.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appRoutes } from "../../support/builders/app-routes.ts";
import { adminJson, TEST_VARS } from "../../support/clients/admin-client.ts";
import { makeKey, makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { expectedStatus, type Role, ROLES, WALKED, type WalkedRoute } from "./routes.ts";
import { sendRaw } from "./send.ts";

let stack: GatewayStack;
let own: TestTenant;
let other: TestTenant;
/** What a role's calls delete. */
let spare: Readonly<Partial<Record<Role, { readonly key: string; readonly token: string }>>>;
let credentials: Readonly<Record<Role, string>>;
beforeAll(async () => {
  stack = await startGatewayStack();
  const [tenant, second, suspended] = await Promise.all([
    makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: { "own-route": { targets: [{ provider: "up", model: "small" }] } },
    }),
    makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url }),
    makeTenant(stack.gateway, { record: { status: "suspended" } }),
  ]);
  own = tenant;
  other = second;
  const token = TEST_VARS["ADMIN_TOKEN"] ?? "";
  const tokenFor = async (role: string, tenantId?: string): Promise<string> =>
    (await makeToken({ role, ...(tenantId !== undefined && { tenant: tenantId }) })).token;
  const ownAdmin = await tokenFor("tenant-admin", tenant.id);
  credentials = {
    nothing: "",
    wrong: "Bearer hg_wrong-wrong-wrong-wrong-wrong",
    "suspended tenant's key": `Bearer ${suspended.key}`,
    "own key": `Bearer ${tenant.key}`,
    "other tenant's key": `Bearer ${second.key}`,
    operator: `Bearer ${token}`,
    "operator by Basic": `Basic ${btoa(`user:${token}`)}`,
    viewer: `Bearer ${await tokenFor("viewer")}`,
    "own admin": `Bearer ${ownAdmin}`,
    "own admin by Basic": `Basic ${btoa(`user:${ownAdmin}`)}`,
    "own viewer": `Bearer ${await tokenFor("tenant-viewer", tenant.id)}`,
    "other tenant's admin": `Bearer ${await tokenFor("tenant-admin", second.id)}`,
  };
  const account = { kind: "openai", baseUrl: `${stack.upstream.url}/v1`, apiKey: "sk-own", native: "all" };
  const providers = `/admin/tenants/${tenant.id}/providers`;
  await stack.gateway.admin("PUT", `${providers}/account`, account);
  await stack.gateway.admin("PUT", `${providers}/simulated`, { kind: "sim" });
  const spares = async () => ({
    key: (await makeKey(stack.gateway, tenant.id)).id,
    token: (await makeToken({ role: "viewer" })).id,
  });
  spare = { operator: await spares(), "own admin": await spares() };
});
afterAll(() => stack.close());

async function makeToken(fields: object): Promise<{ readonly id: string; readonly token: string }> {
  const { id, token } = await adminJson(stack.gateway, "POST", "/admin/tokens", { name: "test", ...fields });
  return { id: String(id), token: String(token) };
}

function walk({ method, path, sent = method, filled, body }: WalkedRoute, role: Role) {
  const target = (filled ?? path)
    .replace(":tenant", own.id)
    .replace("keys/:id", `keys/${(method === "DELETE" && spare[role]?.key) || own.keyId}`)
    .replace("tokens/:id", `tokens/${spare[role]?.token ?? "none"}`)
    .replace(":id", "none")
    // Each that may write has records of its own to make and to delete.
    .replace(":name", role === "own admin" ? "walked-too" : "walked")
    .replace(":traceId", "a".repeat(32))
    .replace(":service", "headgate")
    .replace(":session{.+}", "s-1")
    .replace(":model{.+}", "own-route");
  const authorization = credentials[role];
  const headers = { ...(authorization !== "" && { authorization }), "content-type": "application/json" };
  return sendRaw(stack.gateway.url, sent, target, headers, body && JSON.stringify(body));
}

test("no route of the app is missing, and none is made up", () => {
  const walked = new Set(WALKED.map(({ method, path }) => `${method} ${path}`));
  expect([...walked].toSorted()).toEqual(
    appRoutes()
      .map(({ method, path }) => `${method} ${path}`)
      .toSorted(),
  );
});

describe("two tenants' admins", () => {
  const SHARED = "c".repeat(32);
  const ALONE = { own: "1".repeat(32), other: "2".repeat(32) };
  beforeAll(async () => {
    for (const traceId of [SHARED, ALONE.own]) await chat(traceId, own.key, `${own.provider}/small`);
    for (const traceId of [SHARED, ALONE.other]) await chat(traceId, other.key, `${other.provider}/small`);
  });

  function chat(traceId: string, key: string, model: string): Promise<Response> {
    return fetch(`${stack.gateway.url}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${key}`,
        "content-type": "application/json",
        traceparent: `00-${traceId}-${"d".repeat(16)}-01`,
      },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
    });
  }
  const ask = (role: Role, path: string) =>
    sendRaw(stack.gateway.url, "GET", path, { authorization: credentials[role] }, undefined);

  test.each([
    "/admin/traces",
    `/admin/traces/${SHARED}`,
    `/admin/traces/${SHARED}/surroundings`,
    "/admin/audit?limit=1000",
    "/admin/tenants?limit=1000",
    "/metrics",
    "/jaeger/api/traces?service=headgate",
    `/jaeger/api/traces/${SHARED}`,
    `/jaeger/api/traces?traceID=${SHARED}`,
  ])("each sees what is its own in %s, the operator both", async (path) => {
    const [ownAnswer, otherAnswer, all] = await Promise.all([
      ask("own admin", path),
      ask("other tenant's admin", path),
      ask("operator", path),
    ]);
    expect(ownAnswer.text).toContain(own.id);
    expect(ownAnswer.text).not.toContain(other.id);
    expect(otherAnswer.text).toContain(other.id);
    expect(otherAnswer.text).not.toContain(own.id);
    expect(all.text).toContain(own.id);
    expect(all.text).toContain(other.id);
  });

  test.each([
    "/admin/traces?tenant=",
    `/admin/traces/${SHARED}?tenant=`,
    `/admin/traces/${SHARED}/surroundings?tenant=`,
    "/metrics?tenant=",
  ])("a filter does not lead to the other: %s", async (path) => {
    for (const tenant of [other.id, "-", "none-such"])
      expect((await ask("own admin", path + tenant)).status).toBe(403);
    expect((await ask("own admin", path + own.id)).status).toBe(200);
  });

  test("a tag of a Jaeger query does not lead to the other", async () => {
    const search = (tenant: string) =>
      `/jaeger/api/traces?service=headgate&tags=${encodeURIComponent(JSON.stringify({ "gateway.tenant.id": tenant }))}`;
    const found = await ask("own admin", search(other.id));
    expect(found.text).not.toContain(other.id);
    expect((await ask("own admin", search(own.id))).text).toContain(own.id);
  });
});

describe.each(WALKED.map((route) => [`${route.sent ?? route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    // The operator, which may delete what the others ask for, comes behind them.
    test.each(ROLES.toReversed())("with %s", async (role) => {
      const answer = await walk(route, role);
      expect(answer.status, answer.text).toBe(expectedStatus(route, role));
      expect(answer.text).not.toContain("sk-own");
      // A list shows what belongs to the key or the token.
      if (role === "other tenant's key" && answer.status < 400)
        expect(answer.text).not.toMatch(/own-route|account/);
      if (role === "other tenant's admin" && answer.status < 400) expect(answer.text).not.toContain(own.id);
    });
  },
);
