// Every route of the app with every credential: who is let in, and what the others get. The expected answers are routes.ts, which also
// makes the table in src/docs/security.md.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { appRoutes } from "../../support/builders/app-routes.ts";
import { TEST_VARS } from "../../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { expectedStatus, type Role, ROLES, WALKED, type WalkedRoute } from "./routes.ts";
import { sendRaw } from "./send.ts";

let stack: GatewayStack;
let own: TestTenant;
let credentials: Readonly<Record<Role, string>>;
beforeAll(async () => {
  stack = await startGatewayStack();
  const [tenant, other, suspended] = await Promise.all([
    makeTenant(stack.gateway, {
      upstreamUrl: stack.upstream.url,
      routes: { "own-route": { targets: [{ provider: "up", model: "small" }] } },
    }),
    makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url }),
    makeTenant(stack.gateway, { record: { status: "suspended" } }),
  ]);
  own = tenant;
  const token = TEST_VARS["ADMIN_TOKEN"] ?? "";
  credentials = {
    nothing: "",
    wrong: "Bearer hg_wrong-wrong-wrong-wrong-wrong",
    "suspended tenant's key": `Bearer ${suspended.key}`,
    "own key": `Bearer ${tenant.key}`,
    "other tenant's key": `Bearer ${other.key}`,
    operator: `Bearer ${token}`,
    "operator by Basic": `Basic ${btoa(`user:${token}`)}`,
  };
  const account = { kind: "openai", baseUrl: `${stack.upstream.url}/v1`, apiKey: "sk-own", native: "all" };
  const providers = `/admin/tenants/${tenant.id}/providers`;
  await stack.gateway.admin("PUT", `${providers}/account`, account);
  await stack.gateway.admin("PUT", `${providers}/simulated`, { kind: "sim" });
});
afterAll(() => stack.close());

function walk({ method, path, sent = method, filled, body }: WalkedRoute, role: Role) {
  const target = (filled ?? path)
    .replace(":tenant", own.id)
    .replace("keys/:id", `keys/${own.keyId}`)
    .replace(":id", "none")
    .replace(":name", "walked")
    .replace(":traceId", "a".repeat(32))
    .replace(":service", "headgate")
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

describe.each(WALKED.map((route) => [`${route.sent ?? route.method} ${route.path}`, route] as const))(
  "%s",
  (_, route) => {
    test.each(ROLES)("with %s", async (role) => {
      const answer = await walk(route, role);
      expect(answer.status, answer.text).toBe(expectedStatus(route, role));
      expect(answer.text).not.toContain("sk-own");
      // A list shows what belongs to the key.
      if (role === "other tenant's key" && answer.status < 400)
        expect(answer.text).not.toMatch(/own-route|account/);
    });
  },
);
