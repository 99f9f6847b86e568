// Money, whatever becomes of a request: tried again, hedged, cut, left by its client, answered from the cache or by another's call.
// What the upstream billed, spans, headers, trace list and the tenant's ledger are one number; where there was no bill it is an
// estimate, and marked as one. The dialects are in ledger.test.ts.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  addUp,
  billedBy,
  pricedModel,
  priceOf,
  settledSums,
  type Asked,
  type Sums,
} from "../../support/checkers/ledger-sums.ts";
import { attemptsOf, chat, post, rootOf, spansOf, type Ask } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { startGatewayStack, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import { anthropicMessage } from "../../support/servers/scripted-anthropic.ts";
import { promptTokens } from "../../../src/pricing/estimate/request-tokens.ts";
import { textTokens } from "../../../src/pricing/estimate/text-tokens.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

/** Thousands, so that every price comes to whole micro-dollars. */
const BILL = { inputTokens: 7000, outputTokens: 3000, cachedTokens: 2000 };
const ANSWER = { kind: "answer", text: "one two three four", usage: BILL } as const;
const BUSY: Reply = { kind: "error", status: 503, headers: { "retry-after-ms": "10" } };
/** Longer than any test: plain workerd notices that a client has left when it writes to it. */
const ENDLESS = {
  kind: "answer",
  chunks: Array.from({ length: 2000 }, () => "a word "),
  paceMs: 25,
} as const;

/** What a request with this body owes for its prompt where no vendor has said it. */
function estimateOf(bodyText: string): number {
  const body: Record<string, unknown> = JSON.parse(bodyText);
  const traits = { operation: "chat", model: "", stream: false, params: {} } as const;
  return promptTokens({ wire: openAiChat, body, bodyText, ...traits });
}
const NOTHING: Sums = { input: 0, output: 0, microUsd: 0 };

const tenantWith = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, ...options });

/** A tenant whose route `r` has these models in turn. */
const routed = (models: readonly string[], more: object = {}): Promise<TestTenant> =>
  tenantWith({
    routes: {
      r: {
        targets: models.map((model) => ({ provider: "up", model })),
        retries: { maxAttempts: 2, baseDelayMs: 5 },
        ...more,
      },
    },
  });

const billed = (...models: readonly string[]): Sums =>
  addUp(models.map((model) => billedBy(stack.upstream, model)));

/** What the trace says that calls which answered nothing owe: their prompts, marked as estimates. */
function promptOf(spans: readonly FlatSpan[], model: string): Pick<Sums, "input" | "microUsd"> {
  const owing = spans.filter(
    ({ name, attributes }) =>
      name === `chat ${model}` && attributes["gateway.attempt.cost_usd"] !== undefined,
  );
  const sum = (name: string): number =>
    owing.reduce((total, { attributes }) => total + Number(attributes[name] ?? 0), 0);
  for (const { attributes } of owing) expect(attributes["gateway.usage.source"]).toBe("estimate");
  return { input: sum("gen_ai.usage.input_tokens"), microUsd: sum("gateway.attempt.cost_usd") * 1e6 };
}

function withPrompt(sums: Sums, { input, microUsd }: Pick<Sums, "input" | "microUsd">): Sums {
  return { ...sums, input: sums.input + input, microUsd: Math.round(sums.microUsd + microUsd) };
}

async function sourceOf(asked: Asked): Promise<unknown> {
  return rootOf(await spansOf(stack, asked)).attributes["gateway.usage.source"];
}

/** Reads a stream until it has brought so much text, leaves, and says how much text it had got. */
async function leaveAfter(key: string, ask: Ask, chars: number): Promise<Asked & { readonly chars: number }> {
  const leaving = new AbortController();
  const response = await post(stack.gateway.url, key, { ...ask, stream: true, signal: leaving.signal });
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    if (charsIn(text) >= chars) break;
  }
  leaving.abort();
  return {
    traceId: response.headers.get("x-trace-id") ?? "",
    headers: response.headers,
    chars: charsIn(text),
  };
}

/** Characters of the answer's text in a stream of OpenAI's. */
function charsIn(sse: string): number {
  return [...sse.matchAll(/"content":"([^"]*)"/g)].reduce((sum, [, text = ""]) => sum + text.length, 0);
}

describe.concurrent("a request that", () => {
  test.each([false, true])("is tried again costs its one answer (stream: %j)", async (stream) => {
    const model = pricedModel();
    stack.upstream.script(model, ({ earlier }) => (earlier === 0 ? BUSY : ANSWER));
    const tenant = await routed([model]);
    const answer = await chat(stack, tenant.key, { model: "r", stream });
    expect(answer.headers.get("x-headgate-attempts")).toBe("2");
    expect(await settledSums(stack, tenant, [answer])).toEqual(billed(model));
    expect(billed(model).input).toBe(7000);
  });

  test.each<[string, Reply, boolean]>([
    ["fails", { kind: "error", status: 500 }, false],
    ["sends no answer", { kind: "raw", body: "<html>" }, true],
    ["is cut before its first word", { ...ANSWER, end: "cut", endAfterChunks: 0 }, true],
  ])(
    "falls back since its first target %s costs what the second billed, and a prompt that was read",
    async (_, reply, wasRead) => {
      const [bad, good] = [pricedModel(), pricedModel("gpt-4o")];
      stack.upstream.script(bad, reply);
      stack.upstream.script(good, ANSWER);
      const tenant = await routed([bad, good]);
      const answer = await chat(stack, tenant.key, { model: "r", stream: true });
      expect(answer.headers.get("x-headgate-target")).toBe(`up/${good}`);
      const prompt = promptOf(await spansOf(stack, answer), bad);
      expect(prompt.input > 0).toBe(wasRead);
      expect(await settledSums(stack, tenant, [answer])).toEqual(withPrompt(billed(good), prompt));
    },
  );

  test("is hedged costs what the winner billed and the prompt of the other, which is marked as an estimate", async () => {
    const [slow, fast] = [pricedModel(), pricedModel("gpt-4o")];
    stack.upstream.script(slow, { ...ANSWER, delayMs: 3000 });
    stack.upstream.script(fast, ANSWER);
    const tenant = await routed([slow, fast], { hedge: { afterMs: 100 } });
    const ask = { model: "r", prompt: "word ".repeat(8000) };
    const answer = await chat(stack, tenant.key, ask);
    const spans = await spansOf(stack, answer);
    expect(attemptsOf(spans)).toEqual([`up/${slow} initial hedge_lost hedge`, `up/${fast} hedge ok`]);
    const hedgeMicroUsd = Math.round(Number(rootOf(spans).attributes["gateway.hedge.cost_usd"]) * 1e6);
    const input = estimateOf(stack.upstream.requestsFor(slow)[0]?.body ?? "{}");
    // The client's body names the route where the upstream's names the model.
    expect(hedgeMicroUsd / priceOf("openai", slow, { input, output: 0 })).toBeCloseTo(1, 2);
    const winner = billed(fast);
    const sums = await settledSums(stack, tenant, [answer]);
    expect(sums).toEqual(withPrompt(winner, { ...promptOf(spans, slow), microUsd: hedgeMicroUsd }));
  });

  test.each<[string, Reply]>([
    ["is cut", { ...ANSWER, end: "cut", endAfterChunks: 3 }],
    ["ends in an error", { ...ANSWER, end: "error-event", endAfterChunks: 3 }],
    ["was not billed", { ...ANSWER, usageChunk: "never" }],
  ])("%s in its stream costs an estimate of what had come, and says so", async (_, reply) => {
    const model = pricedModel();
    stack.upstream.script(model, reply);
    const tenant = await tenantWith();
    const answer = await chat(stack, tenant.key, {
      model: `up/${model}`,
      stream: true,
      prompt: "x".repeat(40_000),
    });
    expect(await sourceOf(answer)).toBe("estimate");
    const sums = await settledSums(stack, tenant, [answer]);
    expect(sums.output).toBe(Math.ceil(textTokens(answer.content)));
    expect(sums.input).toBeGreaterThanOrEqual(8800);
    expect(sums.microUsd).toBe(Math.round(priceOf("openai", model, sums)));
  });

  test("says nothing of its usage costs an estimate, and says so", async () => {
    const model = pricedModel();
    const choices = [
      { index: 0, message: { role: "assistant", content: "x".repeat(4000) }, finish_reason: "stop" },
    ];
    stack.upstream.script(model, {
      kind: "raw",
      body: JSON.stringify({ id: "1", object: "chat.completion", model, choices }),
    });
    const tenant = await tenantWith();
    const answer = await chat(stack, tenant.key, { model: `up/${model}` });
    expect(await sourceOf(answer)).toBe("estimate");
    expect((await settledSums(stack, tenant, [answer])).output).toBe(880);
  });

  test("is refused, by us or by the upstream, costs nothing", async () => {
    const model = pricedModel();
    stack.upstream.script(model, { kind: "error", status: 400 });
    const tenant = await tenantWith();
    const answers = [
      await chat(stack, tenant.key, { model: `up/${model}` }),
      await chat(stack, tenant.key, { model: "no-such-route" }),
      await chat(stack, tenant.key, { model: `up/${model}`, body: { messages: "none" } }),
      await chat(stack, tenant.key, {
        model: `up/${model}`,
        headers: { "x-headgate-cache": "only-if-cached" },
      }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 404, 400, 504]);
    expect(await settledSums(stack, tenant, answers)).toEqual(NOTHING);
  });

  test("came over a spent budget costs nothing, and the ledger is what it was", async () => {
    const model = pricedModel();
    stack.upstream.script(model, ANSWER);
    const budget = { usd: 0.000_1, period: "month", onExceeded: "reject" };
    const tenant = await tenantWith({ record: { budget } });
    const answers = [await chat(stack, tenant.key, { model: `up/${model}` })];
    await settledSums(stack, tenant, answers);
    answers.push(await chat(stack, tenant.key, { model: `up/${model}` }));
    expect(answers.map(({ error }) => error)).toEqual([undefined, "budget_exceeded"]);
    expect(await settledSums(stack, tenant, answers)).toEqual(billed(model));
  });
});

describe.concurrent("a client who leaves", () => {
  test("in the stream owes an estimate: its prompt, and what had been written by then", async () => {
    const model = pricedModel();
    stack.upstream.script(model, ENDLESS);
    const tenant = await tenantWith();
    const left = await leaveAfter(tenant.key, { model: `up/${model}`, prompt: "x".repeat(40_000) }, 70);
    const request = await stack.upstream.waitForRequest(model);
    await request.ended;
    expect(request.outcome).toBe("client_closed");
    const sums = await settledSums(stack, tenant, [left]);
    expect(await sourceOf(left)).toBe("estimate");
    const each = textTokens("a word ");
    expect(sums.output).toBeGreaterThanOrEqual(Math.floor((left.chars / "a word ".length) * each));
    expect(sums.output).toBeLessThanOrEqual(Math.ceil((request.billed?.outputTokens ?? 0) * each));
    expect(sums.microUsd).toBe(Math.round(priceOf("openai", model, sums)));
  });

  test.each([
    ["its own wire", "/v1/messages"],
    ["another's", "/v1/chat/completions"],
  ])("an Anthropic stream in %s owes the prompt as billed and an estimate of the rest", async (_, path) => {
    const model = pricedModel("claude-haiku-4-5");
    const usage = {
      input_tokens: 5000,
      cache_read_input_tokens: 2000,
      cache_creation_input_tokens: 0,
      output_tokens: 9000,
    };
    const content = Array.from({ length: 100 }, () => ({
      type: "text",
      text: "some words, and more of them",
    }));
    stack.upstream.script(model, anthropicMessage({ content, usage, paceMs: 25 }));
    const tenant = await tenantWith({ providerKind: "anthropic" });
    const response = await fetch(stack.gateway.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
      body: JSON.stringify({
        model: `up/${model}`,
        stream: true,
        max_tokens: 9,
        messages: [{ role: "user", content: "Hi" }],
      }),
    });
    const reader = response.body?.getReader();
    for (let reads = 0; reads < 20; reads += 1) await reader?.read();
    await reader?.cancel();
    const left = { traceId: response.headers.get("x-trace-id") ?? "", headers: response.headers };
    const sums = await settledSums(stack, tenant, [left]);
    expect(await sourceOf(left)).toBe("estimate");
    expect(sums.input).toBe(7000);
    expect(sums.output).toBeGreaterThan(20);
    expect(sums.output).toBeLessThan(9000);
    expect(sums.microUsd).toBe(Math.round(priceOf("anthropic", model, { ...sums, cacheRead: 2000 })));
  });

  test("before the first byte owes the prompt, which the vendor has read, and its slot is free", async () => {
    const model = pricedModel();
    stack.upstream.script(model, { kind: "hang" });
    const tenant = await tenantWith();
    const body = JSON.stringify({ model: `up/${model}`, messages: [{ role: "user", content: "Hi" }] });
    const answer = await fetch(`${stack.gateway.leaverUrl}/v1/chat/completions`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${tenant.key}`,
        "content-type": "application/json",
        "x-leave-after-ms": "400",
      },
      body,
    });
    expect(answer.status).toBe(499);
    await (
      await stack.upstream.waitForRequest(model)
    ).ended;
    const listed = await stack.gateway.admin("GET", `/admin/traces?tenant=${tenant.id}`);
    const { items } = await listed.json<{ readonly items: readonly { readonly traceId: string }[] }>();
    const traceId = items[0]?.traceId ?? "";
    const sums = await settledSums(stack, tenant, [{ traceId, headers: answer.headers }]);
    const input = estimateOf(body);
    expect(sums).toMatchObject({ input, output: 0 });
    expect(sums.microUsd).toBe(Math.round(priceOf("openai", model, { input, output: 0 })));
  });
});

describe.concurrent("an answer that is given again", () => {
  test.each([false, true])("from the cache costs its first client only (stream: %j)", async (stream) => {
    const model = pricedModel();
    stack.upstream.script(model, ANSWER);
    const tenant = await tenantWith({ cache: { enabled: true } });
    const first = await chat(stack, tenant.key, { model: `up/${model}`, stream });
    await spansOf(stack, first);
    const again = await chat(stack, tenant.key, { model: `up/${model}`, stream });
    expect(again.headers.get("x-headgate-cache")).toBe("HIT");
    expect(await settledSums(stack, tenant, [first, again])).toEqual(billed(model));
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });

  test("for an idempotency key costs once, also where its first client had left", async () => {
    const model = pricedModel();
    stack.upstream.script(model, { ...ANSWER, text: "one two three four five six", paceMs: 100 });
    const tenant = await tenantWith();
    const ask = { model: `up/${model}`, stream: true, headers: { "idempotency-key": randomUUID() } };
    const left = await leaveAfter(tenant.key, ask, 1);
    await (
      await stack.upstream.waitForRequest(model)
    ).ended;
    const again = await chat(stack, tenant.key, ask);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(await settledSums(stack, tenant, [left, again])).toEqual(billed(model));
    expect(billed(model).output).toBe(3000);
  });

  test("to all who asked at once costs once, also where the one who led had left", async () => {
    const model = pricedModel();
    stack.upstream.script(model, { ...ANSWER, firstChunkDelayMs: 300, paceMs: 200 });
    const tenant = await tenantWith({ cache: { coalesce: true } });
    const ask = { model: `up/${model}`, stream: true };
    const leader = leaveAfter(tenant.key, ask, 1);
    await stack.upstream.waitForRequest(model);
    const followers = await Promise.all([chat(stack, tenant.key, ask), chat(stack, tenant.key, ask)]);
    expect(followers.map(({ content }) => content)).toEqual([ANSWER.text, ANSWER.text]);
    expect(await settledSums(stack, tenant, [await leader, ...followers])).toEqual(billed(model));
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });
});

describe.concurrent("beside chat", () => {
  const embed = async ({ key }: TestTenant, model: string, input: readonly string[]): Promise<Asked> => {
    const response = await fetch(`${stack.gateway.url}/v1/embeddings`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ model: `up/${model}`, input }),
    });
    expect(response.status).toBe(200);
    await response.text();
    return { traceId: response.headers.get("x-trace-id") ?? "", headers: response.headers };
  };

  test("embeddings cost the texts that were not there yet", async () => {
    const model = pricedModel("text-embedding-3-small");
    stack.upstream.script(model, (request) => {
      const texts: readonly unknown[] = Array.isArray(request.json["input"]) ? request.json["input"] : [];
      const tokens = 100_000 * texts.length;
      request.billed = { inputTokens: tokens, outputTokens: 0 };
      const data = texts.map((_, index) => ({ object: "embedding", index, embedding: [0.5] }));
      return {
        kind: "raw",
        body: JSON.stringify({
          object: "list",
          model,
          data,
          usage: { prompt_tokens: tokens, total_tokens: tokens },
        }),
      };
    });
    const tenant = await tenantWith({ cache: { enabled: true } });
    const first = await embed(tenant, model, ["one", "two"]);
    await spansOf(stack, first);
    const mixed = await embed(tenant, model, ["one", "three", "two"]);
    const known = await embed(tenant, model, ["two", "one"]);
    expect(await settledSums(stack, tenant, [first, mixed, known])).toEqual(billed(model));
    expect(billed(model).input).toBe(300_000);
  });

  test.each([false, true])("a vendor's own API costs what was billed (stream: %j)", async (stream) => {
    const model = pricedModel();
    stack.upstream.script(model, { ...ANSWER, usageChunk: "always" });
    const tenant = await tenantWith();
    const response = await fetch(`${stack.gateway.url}/proxy/up/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${tenant.key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, stream, messages: [{ role: "user", content: "Hi" }] }),
    });
    await response.text();
    const asked = { traceId: response.headers.get("x-trace-id") ?? "", headers: response.headers };
    expect(await settledSums(stack, tenant, [asked])).toEqual(billed(model));
    expect(billed(model).input).toBe(7000);
  });
});

test("a crowd of all kinds adds up to what was billed", async () => {
  const [sound, flaky, refusing] = [pricedModel(), pricedModel("gpt-4o"), pricedModel()];
  stack.upstream.script(sound, { ...ANSWER, paceMs: 5 });
  stack.upstream.script(flaky, ({ earlier }) => (earlier % 2 === 0 ? BUSY : ANSWER));
  stack.upstream.script(refusing, { kind: "error", status: 422 });
  const tenant = await routed([flaky, sound]);
  const asks: readonly Ask[] = [
    { model: `up/${sound}` },
    { model: `up/${sound}`, stream: true },
    { model: "r", stream: true },
    { model: "r" },
    { model: `up/${refusing}` },
    { model: "nowhere" },
  ];
  const crowd = Array.from({ length: 60 }, (_, at) => asks[at % asks.length] ?? { model: "" });
  const answers = await Promise.all(crowd.map((ask) => chat(stack, tenant.key, ask)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 404, 422]));
  expect(await settledSums(stack, tenant, answers)).toEqual(billed(sound, flaky));
});
