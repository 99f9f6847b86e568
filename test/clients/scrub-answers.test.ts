// An upstream that quotes the credential in a successful answer: with `scrubAnswers` no client and no cache gets it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { adminJson } from "../support/clients/admin-client.ts";
import { makeTenant, type TestTenant } from "../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";

const SECRET = "sk-quoted-canary-0123456789";

let stack: GatewayStack;
let tenant: TestTenant;
beforeAll(async () => {
  stack = await startGatewayStack();
  tenant = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, cache: { enabled: true } });
  for (const name of ["searched", "forwarded"])
    await adminJson(stack.gateway, "PUT", `/admin/tenants/${tenant.id}/providers/${name}`, {
      kind: "openai-compatible",
      baseUrl: `${stack.upstream.url}/v1`,
      apiKey: SECRET,
      native: "all",
      ...(name === "searched" && { scrubAnswers: true }),
    });
});
afterAll(() => stack.close());

async function ask(path: string, body: object, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(`${stack.gateway.url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const messages = [{ role: "user", content: "hi" }];
/** The upstream sends these bytes for each word: the secret is split over them. */
const said = { kind: "answer", text: `it is ${SECRET} indeed`, writeBytes: 7 } as const;

test.each([
  ["chat, whole", "/v1/chat/completions", { messages }],
  ["chat, streamed", "/v1/chat/completions", { messages, stream: true }],
  ["Anthropic's API, translated", "/v1/messages", { messages, max_tokens: 50, stream: true }],
])("%s: the credential is cut out of the answer", async (_, path, body) => {
  const model = uniqueModel();
  stack.upstream.script(model, said);
  const { status, text } = await ask(path, { ...body, model: `searched/${model}` });
  expect(status, text).toBe(200);
  expect(text).toContain("indeed");
  expect(text).toContain("*".repeat(SECRET.length));
  expect(text).not.toContain("canary");
});

test("the vendor's own API: the middle of its stream is searched too", async () => {
  const pieces = [
    "data: {}\n\n",
    "data: failed with sk-quoted-",
    "canary-0123456789\n\n",
    "data: [DONE]\n\n",
  ];
  stack.upstream.script("", { kind: "pieces", contentType: "text/event-stream", pieces, paceMs: 20 });
  const { status, text } = await ask("/proxy/searched/v1/anything", {});
  expect(status, text).toBe(200);
  expect(text).toBe(pieces.join("").replace(SECRET, "*".repeat(SECRET.length)));
});

test.each([false, true])("the cache keeps no credential (streamed: %s)", async (stream) => {
  const model = uniqueModel();
  stack.upstream.script(model, said);
  const body = { model: `searched/${model}`, messages, stream };
  await ask("/v1/chat/completions", body);
  await expect
    .poll(async () => (await ask("/v1/chat/completions", body)).headers.get("x-headgate-cache"))
    .toBe("HIT");
  const { text } = await ask("/v1/chat/completions", body);
  expect(text).toContain("indeed");
  expect(text).not.toContain("canary");
});

test("without it an answer is forwarded as it is", async () => {
  const model = uniqueModel();
  stack.upstream.script(model, said);
  const { text } = await ask("/v1/chat/completions", { model: `forwarded/${model}`, messages });
  expect(text).toContain(SECRET);
});
