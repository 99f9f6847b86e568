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

describe("with the gateway key in the path", () => {
  const post = (path: string, model: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${stack.gateway.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
    });
  /** Of the key, what no other text holds. */
  const secret = (): string => tenant.key.slice("hg_".length);

  test.each(["answered", "refused"])(
    "the client's token reaches the vendor, %s, and the key nothing",
    async (fate) => {
      const model = uniqueModel();
      if (fate === "refused")
        stack.upstream.script(model, (request) => ({
          kind: "error",
          status: 400,
          body: { error: { message: `bad ${request.path} ${JSON.stringify(request.headers)}` } },
        }));
      const response = await post(`/k/${tenant.key}/v1/chat/completions?a=b`, `own/${model}`, {
        authorization: CREDENTIAL,
      });
      const text = await response.text();
      expect(response.status, text).toBe(fate === "answered" ? 200 : 400);
      const [sent] = stack.upstream.requestsFor(model);
      expect(sent?.headers["authorization"]).toBe(CREDENTIAL);
      const traceId = response.headers.get("x-trace-id") ?? "";
      const exported = JSON.stringify(await stack.otlp.waitForTrace(traceId));
      const stored = await (await stack.gateway.admin("GET", `/admin/traces/${traceId}`)).text();
      expect(stored).toContain(tenant.id);
      const everything = [text, JSON.stringify(sent), exported, stored, ...response.headers.values()].join();
      expect(everything).not.toContain(secret());
      expect(exported).toContain("/v1/chat/completions");
    },
  );

  test("it decides before a header, and a wrong one is named in no answer", async () => {
    const wrong = await post(`/k/hg_wrong/v1/chat/completions`, `own/${uniqueModel()}`, {
      "x-headgate-key": tenant.key,
    });
    expect(wrong.status).toBe(401);
    expect(await wrong.text()).not.toContain("hg_wrong");
  });

  test.each([
    "",
    "/",
    "/v1",
    "/v1x/models",
    "/admin/tenants",
    "/metrics",
    "//v1/models",
    "/../admin/tenants",
  ])("opens no other path: %j, and no answer names it", async (rest) => {
    const response = await stack.gateway.admin("GET", `/k/${tenant.key}${rest}`);
    const text = await response.text();
    expect([401, 404]).toContain(response.status);
    expect(text + [...response.headers.values()].join()).not.toContain(secret());
  });

  test.each(["/K", "/%6b", "/k%2f", "//k"])("another spelling of it is no key's: %s", async (prefix) => {
    const response = await fetch(`${stack.gateway.url}${prefix}/${tenant.key}/v1/models`);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain(secret());
  });

  test("works for lists, Gemini's wire and the native proxy's paths", async () => {
    const list = await fetch(`${stack.gateway.url}/k/${tenant.key}/v1/models`);
    expect(list.status).toBe(200);
    const beta = await fetch(`${stack.gateway.url}/k/${tenant.key}/v1beta/models`);
    expect(beta.status).toBe(200);
    const native = await fetch(`${stack.gateway.url}/k/${tenant.key}/proxy/${tenant.provider}/models`);
    expect(native.status).toBe(200);
    expect(JSON.stringify(stack.upstream.requests.at(-1))).not.toContain(secret());
  });
});

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
