// Money in every dialect: what the upstream billed, what spans and headers say, what the trace list adds up to and what stands in
// the tenant's ledger are one number. What happens to it on the way of a request is in ledger-fates.test.ts.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  addUp,
  pricedModel,
  priceOf,
  settledSums,
  type Asked,
  type Tokens,
} from "../../support/checkers/ledger-sums.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { anthropicMessage } from "../../support/servers/scripted-anthropic.ts";
import {
  candidate,
  startScriptedGemini,
  type ScriptedGemini,
} from "../../support/servers/scripted-gemini.ts";
import { responsesReply } from "../../support/servers/scripted-responses.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";
import type { Billing } from "../../support/servers/upstream-replies.ts";

let stack: GatewayStack;
let google: ScriptedGemini;
beforeAll(async () => {
  [stack, google] = await Promise.all([startGatewayStack(), startScriptedGemini()]);
});
afterAll(() => Promise.all([stack.close(), google.close()]));

/** Thousands, so that every price comes to whole micro-dollars and no two ways of counting them come to the same. */
const USED: Tokens = { input: 7000, output: 3000, cacheRead: 2000 };
const BILL: Billing = { inputTokens: 7000, outputTokens: 3000, cachedTokens: 2000, reasoningTokens: 1000 };
const TEXT = "one two three four five six seven eight";
type Ask = {
  readonly path?: string;
  readonly body: object;
};

async function ask(
  { key }: TestTenant,
  { path = "/v1/chat/completions", body }: Ask,
): Promise<Asked & { readonly status: number }> {
  const response = await fetch(stack.gateway.url + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  await response.text();
  const { status, headers } = response;
  return { traceId: headers.get("x-trace-id") ?? "", headers, status };
}

const tenantWith = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });

const CLAUDE = "claude-haiku-4-5";
const CLAUDE_USED: Tokens = { ...USED, cacheWrite: 1000 };
const CLAUDE_USAGE = {
  input_tokens: 4000,
  cache_read_input_tokens: 2000,
  cache_creation_input_tokens: 1000,
  output_tokens: 3000,
};
const claude = anthropicMessage({ content: [{ type: "text", text: TEXT }], usage: CLAUDE_USAGE });
const openAi: Script = { kind: "answer", text: TEXT, usage: BILL };

const chatBody = (model: string, stream: boolean): Ask => ({
  body: { model, stream, messages: [{ role: "user", content: "Hello?" }] },
});
const messagesBody = (model: string, stream: boolean): Ask => ({
  path: "/v1/messages",
  body: { model, stream, max_tokens: 64, messages: [{ role: "user", content: "Hello?" }] },
});
const geminiBody = (model: string, stream: boolean): Ask => ({
  path: `/v1beta/models/${encodeURIComponent(model)}:${stream ? "streamGenerateContent?alt=sse" : "generateContent"}`,
  body: { contents: [{ role: "user", parts: [{ text: "Hello?" }] }] },
});
const responsesBody = (model: string, stream: boolean): Ask => ({
  path: "/v1/responses",
  body: { model, stream, input: "Hello?" },
});

type Row = readonly [
  string,
  "openai" | "anthropic",
  string,
  Tokens,
  Script,
  (model: string, stream: boolean) => Ask,
];
const ROWS: readonly Row[] = [
  ["chat of OpenAI", "openai", "gpt-4o-mini", USED, openAi, chatBody],
  [
    "responses of OpenAI",
    "openai",
    "gpt-4o-mini",
    USED,
    ({ json }) => responsesReply(json, { text: TEXT, usage: BILL }),
    responsesBody,
  ],
  ["messages of Anthropic", "anthropic", CLAUDE, CLAUDE_USED, claude, messagesBody],
  ["messages of OpenAI", "openai", "gpt-4o-mini", USED, openAi, messagesBody],
  ["chat of Anthropic", "anthropic", CLAUDE, CLAUDE_USED, claude, chatBody],
  ["responses of Anthropic", "anthropic", CLAUDE, CLAUDE_USED, claude, responsesBody],
  ["Gemini's of OpenAI", "openai", "gpt-4o-mini", USED, openAi, geminiBody],
];

describe.concurrent.each([false, true])("with stream %j", (stream) => {
  test.each(ROWS)("a %s costs what was billed", async (_, providerKind, name, used, script, body) => {
    const tenant = await tenantWith({ providerKind });
    const model = pricedModel(name);
    stack.upstream.script(model, script);
    const requests = [
      await ask(tenant, body(`up/${model}`, stream)),
      await ask(tenant, body(`up/${model}`, stream)),
    ];
    expect(requests.map(({ status }) => status)).toEqual([200, 200]);
    const once = { input: used.input, output: used.output, microUsd: priceOf(providerKind, model, used) };
    expect(await settledSums(stack, tenant, requests)).toEqual(addUp([once, once]));
    expect(stack.upstream.requestsFor(model)).toHaveLength(2);
  });

  test("a Gemini's own costs what was billed", async () => {
    const tenant = await tenantWith();
    const record = { kind: "gemini", baseUrl: google.url, apiKey: "AIza" };
    await stack.gateway.admin("PUT", `/admin/tenants/${tenant.id}/providers/gem`, record);
    const model = pricedModel("gemini-2.5-flash");
    const usage = {
      promptTokenCount: 7000,
      cachedContentTokenCount: 2000,
      candidatesTokenCount: 2000,
      thoughtsTokenCount: 1000,
      totalTokenCount: 10_000,
    };
    google.script(model, {
      kind: "events",
      events: [candidate([{ text: TEXT }], { finishReason: "STOP" }, usage)],
    });
    const request = await ask(tenant, geminiBody(`gem/${model}`, stream));
    expect(request.status).toBe(200);
    const { input, output } = USED;
    expect(await settledSums(stack, tenant, [request])).toEqual({
      input,
      output,
      microUsd: priceOf("gemini", model, USED),
    });
  });
});
