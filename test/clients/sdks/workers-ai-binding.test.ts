// Workers AI by the Worker's binding: the runtime's own `AI` class in real workerd, and behind it a scripted server in place of the
// platform. So what the class sends, how it hands status, stream and abort back is real; what models say is from the docs.
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import {
  startScriptedUpstream,
  type Script,
  type ScriptedUpstream,
} from "../../support/servers/scripted-upstream.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { fixtureText } from "../../support/builders/wire-fixtures.ts";

const MODEL = "@cf/meta/llama-3.1-8b-instruct";
const MESSAGES: OpenAI.ChatCompletionMessageParam[] = [{ role: "user", content: "Say hello." }];
const HELLO = "Hello there! 👋🏽 How can I help?";

let platform: ScriptedUpstream;
let otlp: OtlpReceiver;
let gateway: Gateway;
beforeAll(async () => {
  [platform, otlp] = await Promise.all([startScriptedUpstream(), startOtlpReceiver()]);
  gateway = await startGateway({ vars: { OTLP_ENDPOINT: otlp.url }, aiUrl: platform.url });
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([platform.close(), otlp.close()]);
});

const whole = (name: string): Script => ({ kind: "raw", body: fixtureText(`workers-ai/${name}.json`) });
const streamed = (name: string): Script => ({
  kind: "pieces",
  pieces: fixtureText(`workers-ai/${name}.sse`).match(/[\s\S]{1,40}/g) ?? [],
  paceMs: 1,
});

/** A tenant with such an account and its SDKs; the binding's body names no model, so scripts are for none. */
async function setUp(script: Script, account: object = {}) {
  const tenant = await makeTenant(gateway);
  const path = `/admin/tenants/${tenant.id}/providers/cf`;
  const answer = await gateway.admin("PUT", path, { kind: "workers-ai", native: "all", ...account });
  expect(answer.status).toBe(201);
  platform.script("", script);
  return {
    model: `cf/${MODEL}`,
    openAi: new OpenAI({ apiKey: tenant.key, baseURL: `${gateway.url}/v1`, maxRetries: 0 }),
    anthropic: new Anthropic({ apiKey: tenant.key, baseURL: gateway.url, maxRetries: 0 }),
    sent: () => platform.requests.at(-1),
    tenant,
  };
}

describe("an account of the binding", () => {
  test("is called with the model, its inputs and no key; status, usage and cost come back", async () => {
    const { openAi, model, sent } = await setUp(whole("text"), {
      headers: { "cf-aig-metadata": "x" },
      options: { gateway: "mine" },
    });
    const { data, response } = await openAi.chat.completions
      .create({ model, messages: MESSAGES, max_tokens: 9 })
      .withResponse();
    expect(data).toMatchObject({
      choices: [{ message: { content: HELLO }, finish_reason: "stop" }],
      usage: { prompt_tokens: 19, completion_tokens: 15 },
    });
    expect(response.headers.get("x-headgate-target")).toBe(model);
    expect(sent()?.headers).toMatchObject({
      "mf-url": "https://workers-binding.ai/ai-gateway/run?version=3",
      "mf-header-cf-consn-model-id": MODEL,
      "mf-header-cf-aig-metadata": "x",
    });
    expect(sent()?.headers).not.toHaveProperty("mf-header-authorization");
    expect(sent()?.json).toEqual({
      inputs: { messages: MESSAGES, max_tokens: 9 },
      options: { returnRawResponse: true, gateway: { id: "mine" } },
    });
  });

  test("streams to both SDKs chunk by chunk, in a trace like any other's", async () => {
    const { openAi, anthropic, model, sent } = await setUp(streamed("text"));
    const { data: chunks, response } = await openAi.chat.completions
      .create({ model, messages: MESSAGES, stream: true, stream_options: { include_usage: true } })
      .withResponse();
    const texts: string[] = [];
    let usage: OpenAI.CompletionUsage | null | undefined;
    for await (const chunk of chunks) {
      const text = chunk.choices[0]?.delta.content ?? "";
      if (text !== "") texts.push(text);
      usage = chunk.usage ?? usage;
    }
    expect(texts).toEqual(["Hello", " there", "! ", "👋🏽", " How can I help?"]);
    expect(usage).toMatchObject({ prompt_tokens: 19, completion_tokens: 15 });
    expect(sent()?.json).toMatchObject({ inputs: { stream: true } });
    const message = await anthropic.messages
      .stream({ model, max_tokens: 9, messages: [{ role: "user", content: "Hi" }] })
      .finalMessage();
    expect(message).toMatchObject({
      content: [{ type: "text", text: HELLO }],
      stop_reason: "end_turn",
      usage: { input_tokens: 19, output_tokens: 15 },
    });
    const spans = await otlp.waitForTrace(response.headers.get("x-trace-id") ?? "");
    expect(checkTrace(spans)).toEqual([]);
    const attempt = spans.find(({ name }) => name === `chat ${MODEL}`);
    expect(attempt?.attributes).toMatchObject({
      "gen_ai.provider.name": "cloudflare.workers_ai",
      "gen_ai.usage.output_tokens": 15,
      "gateway.attempt.outcome": "ok",
    });
    // The call leaves the Worker by no address.
    expect(attempt?.attributes).not.toHaveProperty("server.address");
  });

  test("calls tools in parallel, streamed and not", async () => {
    const tools: OpenAI.ChatCompletionTool[] = [
      { type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } },
    ];
    const { openAi, model } = await setUp((request) =>
      JSON.stringify(request.json["inputs"]).includes('"stream":true')
        ? { kind: "pieces", pieces: [fixtureText("workers-ai/tools.sse")] }
        : { kind: "raw", body: fixtureText("workers-ai/tools.json") },
    );
    const calls = [
      { function: { name: "get_weather", arguments: '{"city":"Zürich"}' } },
      { function: { name: "get_time" } },
      { function: { name: "ping", arguments: "{}" } },
    ];
    const once = await openAi.chat.completions.create({ model, messages: MESSAGES, tools });
    expect(once.choices).toMatchObject([{ finish_reason: "tool_calls", message: { tool_calls: calls } }]);
    const stream = openAi.chat.completions.stream({ model, messages: MESSAGES, tools });
    expect((await stream.finalChatCompletion()).choices[0]?.message.tool_calls).toMatchObject(calls);
  });

  test("embeds", async () => {
    const { openAi, sent, model } = await setUp(whole("embed"));
    const { data } = await openAi.embeddings.create({ model, input: ["a", "b"], encoding_format: "float" });
    expect(data.map(({ embedding }) => embedding)).toEqual([
      [0.25, -0.5, 0.125],
      [0.5, 0.25, -1],
    ]);
    expect(sent()?.json).toMatchObject({ inputs: { text: ["a", "b"] } });
  });

  test.each([
    [400, OpenAI.BadRequestError, "No such model"],
    [429, OpenAI.RateLimitError, ""],
  ])("whose platform answers %i raises the SDK's class", async (status, type, words) => {
    const body = JSON.parse(fixtureText(`workers-ai/errors/binding-${status}.json`));
    const { openAi, model } = await setUp({ kind: "error", status, body });
    const call = openAi.chat.completions.create({ model, messages: MESSAGES });
    await expect(call).rejects.toThrow(type);
    await expect(call).rejects.toThrow(words);
  });

  test("that falls silent is a timeout, and the platform is called off", async () => {
    const { openAi, model } = await setUp({ kind: "hang" });
    const call = openAi.chat.completions.create(
      { model, messages: MESSAGES },
      { headers: { "x-headgate-timeout-ms": "200" } },
    );
    await expect(call).rejects.toMatchObject({ status: 504, code: "upstream_timeout" });
    const asked = platform.requests.at(-1);
    await asked?.ended;
    expect(asked?.outcome).toBe("client_closed");
  });

  test("whose client leaves in mid-stream lets the platform go", async () => {
    const pieces = Array.from({ length: 200 }, (_, at) => `data: {"response":"${at} "}\n\n`);
    const { openAi, model } = await setUp({ kind: "pieces", pieces, paceMs: 50 });
    const chunks = await openAi.chat.completions.create({ model, messages: MESSAGES, stream: true });
    for await (const chunk of chunks) if (chunk.choices[0]?.delta.content === "2 ") break;
    const asked = platform.requests.at(-1);
    await asked?.ended;
    expect(asked?.outcome).toBe("client_closed");
  });

  test("has no native API to be called as it is", async () => {
    const { tenant } = await setUp(whole("text"));
    const answer = await fetch(`${gateway.url}/proxy/cf/anything`, {
      method: "POST",
      headers: { authorization: `Bearer ${tenant.key}` },
      body: "{}",
    });
    expect(answer.status).toBe(400);
  });
});

test("a deployment without the binding says so, and asks the next target", async () => {
  const bare = await startGateway();
  try {
    const tenant = await makeTenant(bare);
    const put = (path: string, body: object) =>
      bare.admin("PUT", `/admin/tenants/${tenant.id}/${path}`, body);
    expect((await put("providers/cf", { kind: "workers-ai" })).status).toBe(201);
    const targets = [
      { provider: "cf", model: MODEL },
      { provider: "sim", model: "echo" },
    ];
    expect((await put("routes/both", { targets, retries: { maxAttempts: 1 } })).status).toBe(201);
    const openAi = new OpenAI({ apiKey: tenant.key, baseURL: `${bare.url}/v1`, maxRetries: 0 });
    const alone = openAi.chat.completions.create({ model: `cf/${MODEL}`, messages: MESSAGES });
    await expect(alone).rejects.toThrow(/Workers AI binding, which this deployment doesn't have/);
    const both = await openAi.chat.completions.create({ model: "both", messages: MESSAGES });
    expect(both.choices[0]?.message.content).toBe("Say hello.");
  } finally {
    await bare.stop();
  }
});
