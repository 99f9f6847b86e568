// A client's own credential at the vendor, in place of the account's: it reaches the vendor, and nothing else of it is kept.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminJson } from "../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";

let stack: GatewayStack;
let tenant: TestTenant;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  const providers = `/admin/tenants/${tenant.id}/providers`;
  const baseUrl = `${stack.upstream.url}/v1`;
  await adminJson(stack.gateway, "PUT", `${providers}/own`, {
    kind: "openai-compatible",
    baseUrl,
    passthroughAuth: true,
  });
  await adminJson(stack.gateway, "PUT", `${providers}/both`, {
    kind: "openai-compatible",
    baseUrl,
    apiKey: "sk-account",
    passthroughAuth: true,
  });
});
afterAll(() => stack.close());

const CREDENTIAL = "Bearer sk-subscription-canary-4711";

async function ask(provider: string, headers: Readonly<Record<string, string>>) {
  const model = uniqueModel();
  const response = await fetch(`${stack.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: `${provider}/${model}`, messages: [{ role: "user", content: "hi" }] }),
  });
  const text = await response.text();
  return {
    status: response.status,
    text,
    traceId: response.headers.get("x-trace-id") ?? "",
    sent: stack.upstream.requestsFor(model)[0]?.headers ?? {},
  };
}

const bearer = (): string => `Bearer ${tenant.key}`;

describe("where the account lets a client's credential pass", () => {
  test.each<[string, () => Readonly<Record<string, string>>]>([
    [
      "beside the gateway key",
      () => ({ authorization: bearer(), "x-headgate-upstream-authorization": CREDENTIAL }),
    ],
    [
      "as authorization, with the gateway key in a header of its own",
      () => ({ authorization: CREDENTIAL, "x-headgate-key": tenant.key }),
    ],
  ])("it reaches the vendor, %s, and no trace", async (_, headers) => {
    const { status, text, traceId, sent } = await ask("own", headers());
    expect(status, text).toBe(200);
    expect(sent["authorization"]).toBe(CREDENTIAL);
    expect(Object.keys(sent).filter((name) => name.startsWith("x-headgate"))).toEqual([]);
    const stored = await (await stack.gateway.admin("GET", `/admin/traces/${traceId}`)).text();
    expect(stored).toContain(tenant.id);
    expect(stored + JSON.stringify(await stack.otlp.waitForTrace(traceId))).not.toContain("4711");
  });

  test("it wins over the account's key, which is used without it", async () => {
    const headers = { authorization: bearer() };
    expect((await ask("both", headers)).sent["authorization"]).toBe("Bearer sk-account");
    const own = { ...headers, "x-headgate-upstream-authorization": CREDENTIAL };
    expect((await ask("both", own)).sent["authorization"]).toBe(CREDENTIAL);
  });

  test("a request without any is a 400 that says how to send one", async () => {
    const { status, text } = await ask("own", { authorization: bearer() });
    expect(status).toBe(400);
    expect(text).toContain("x-headgate-upstream-authorization");
  });

  test("one that the vendor refuses says nothing of the target: others are served", async () => {
    const model = uniqueModel();
    stack.upstream.script(model, ({ headers }) =>
      headers["authorization"] === CREDENTIAL
        ? { kind: "answer", text: "ok" }
        : { kind: "error", status: 401, body: { error: { message: `bad ${headers["authorization"]}` } } },
    );
    const send = (credential: string) =>
      fetch(`${stack.gateway.url}/v1/chat/completions`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: bearer(),
          "x-headgate-upstream-authorization": credential,
        },
        body: JSON.stringify({ model: `own/${model}`, messages: [{ role: "user", content: "hi" }] }),
      });
    for (let n = 0; n < 8; n += 1) {
      const refused = await send(`Bearer wrong-credential-${n}`);
      expect(refused.status).toBe(502);
      expect(await refused.text()).not.toContain(`wrong-credential-${n}`);
    }
    expect((await send(CREDENTIAL)).status).toBe(200);
  });
});

test("elsewhere it is ignored: the account's credential is sent, and the client's is not", async () => {
  const { status, sent } = await ask(tenant.provider, {
    authorization: bearer(),
    "x-headgate-upstream-authorization": CREDENTIAL,
  });
  expect(status).toBe(200);
  expect(sent["authorization"]).toBe(`Bearer ${tenant.credential}`);
  expect(JSON.stringify(sent)).not.toContain("4711");
});
