// Tokens counted by a target's vendor: what each is asked, in which case the gateway estimates, and what ends a count under way.
import { expect, test } from "vitest";
import { anthropicMessages, parseAnthropicCount } from "../../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent, parseGeminiCount } from "../../../../src/wires/gemini/client-wire.ts";
import { countTokens } from "../../../../src/pipeline/operations/count-tokens.ts";
import { providerOf } from "../../../../src/providers/registry.ts";
import type { ProviderRecord } from "../../../../src/tenants/records/records.ts";
import { createFakeGateway, spanNamed } from "../../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../../support/fakes/fake-tenant.ts";
import { failure, type FakeReply, hang } from "../../../support/fakes/fake-upstream.ts";

const BODY = { max_tokens: 9, system: "Be brief.", messages: [{ role: "user", content: "Hi" }] };
const CLAUDE_ON_AWS = "anthropic.claude-sonnet-4-5-20250929-v1:0";

function open(kind: ProviderRecord["kind"], model: string, ...replies: readonly FakeReply[]) {
  const baseUrl = providerOf(kind).defaultBaseUrl;
  const far = { kind, options: { project: "p" }, ...(baseUrl !== undefined && { baseUrl }) };
  const bundle = fakeBundle({ providers: { far }, record: { onQueueError: "closed" } });
  const gateway = createFakeGateway({ bundle, replies });
  const chat = parseAnthropicCount(JSON.stringify({ ...BODY, model: `far/${model}` }));
  const call = { ...gateway.call, chat, clientWire: anthropicMessages };
  return { gateway, count: () => countTokens(call, gateway.deps) };
}

test("Claude on Vertex is counted by a model of its own, told which in the body", async () => {
  const { gateway, count } = open(
    "vertex",
    "anthropic/claude-sonnet-4-5@20250929",
    Response.json({ input_tokens: 14 }),
  );
  expect(await count()).toEqual({ source: "provider", body: '{"input_tokens":14}' });
  const [asked] = gateway.upstream.calls;
  expect(asked?.url).toMatch(/\/publishers\/anthropic\/models\/count-tokens:rawPredict$/);
  expect(asked?.json).toEqual({
    ...BODY,
    model: "claude-sonnet-4-5@20250929",
    anthropic_version: "vertex-2023-10-16",
  });
});

test("Gemini on Vertex gets the counted request without its frame", async () => {
  const { gateway } = open("vertex", "gemini-2.5-flash", Response.json({ totalTokens: 3 }));
  const contents = [{ role: "user", parts: [{ text: "Hi" }] }];
  const body = JSON.stringify({ generateContentRequest: { model: "models/x", contents } });
  const chat = parseGeminiCount(body, { model: "far/gemini-2.5-flash" });
  expect(
    await countTokens({ ...gateway.call, chat, clientWire: geminiGenerateContent }, gateway.deps),
  ).toEqual({
    source: "provider",
    body: '{"totalTokens":3}',
  });
  const [asked] = gateway.upstream.calls;
  expect(asked?.url).toMatch(/\/publishers\/google\/models\/gemini-2\.5-flash:countTokens$/);
  expect(asked?.json).toEqual({ contents });
});

test.each([CLAUDE_ON_AWS, `eu.${CLAUDE_ON_AWS}`])("%s is counted in Converse's words", async (model) => {
  const { gateway, count } = open("bedrock", model, Response.json({ inputTokens: 15 }));
  expect(await count()).toEqual({ source: "provider", inputTokens: 15 });
  const [asked] = gateway.upstream.calls;
  expect(asked?.url).toMatch(new RegExp(`/model/${encodeURIComponent(CLAUDE_ON_AWS)}/count-tokens$`));
  expect(asked?.json).toEqual({
    input: {
      converse: {
        system: [{ text: "Be brief." }],
        messages: [{ role: "user", content: [{ text: "Hi" }] }],
      },
    },
  });
});

test("what Bedrock does not count is estimated, also where it says so only when asked", async () => {
  const nova = open("bedrock", "amazon.nova-lite-v1:0");
  expect(await nova.count()).toMatchObject({ source: "estimate" });
  expect(nova.gateway.upstream.calls).toEqual([]);
  const refused = open("bedrock", CLAUDE_ON_AWS, failure(400));
  expect(await refused.count()).toMatchObject({ source: "estimate" });
  const trace = await refused.gateway.finish();
  expect(spanNamed(trace, "gateway.usage.count").attributes).toMatchObject({
    "gateway.usage.source": "estimate",
  });
});

test("what Anthropic itself refuses is refused", async () => {
  await expect(open("anthropic", "claude-x", failure(400)).count()).rejects.toMatchObject({
    code: "upstream_rejected",
  });
});

test("a count that has lost its slot calls its upstream off", async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  const { gateway, count } = open("anthropic", "claude-x", (call) => {
    resolve();
    return hang(call);
  });
  const counting = count();
  counting.catch(() => {});
  await asked;
  gateway.queue.hooks?.onLost?.();
  await expect(counting).rejects.toMatchObject({ code: "unavailable" });
  expect(gateway.upstream.calls[0]?.signal.aborted).toBe(true);
});
