// Reported: agents send fields that change no answer (metadata, user ids, cache keys, names), and were refused for them. They are
// translated to a namesake, made to fit its bounds, or left out and listed; a field that changes the answer is still refused.
import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { askedOf, UPSTREAMS } from "./asked.ts";

const CLAUDE_CODE_USER = JSON.stringify({
  device_id: "d".repeat(64),
  account_uuid: "11111111-2222-3333-4444-555555555555",
  session_id: "66666666-7777-8888-9999-000000000000",
});
const MESSAGES = [{ role: "user", content: "hi" }];

describe("Claude Code's metadata.user_id", () => {
  const body = { max_tokens: 100, metadata: { user_id: CLAUDE_CODE_USER }, messages: MESSAGES };

  test("is left out and listed where the wire has no place for it", () => {
    for (const kind of ["bedrock", "cohere", "mistral"]) {
      const { body: sent, dropped } = askedOf("anthropic-messages", body, kind);
      expect(sent).not.toContain("dddd");
      expect(dropped).toEqual(["metadata.user_id"]);
    }
  });

  test("is shortened by a digest where it is too long: equal ones stay equal, different ones different", () => {
    const userOf = (id: string): string =>
      askedOf("anthropic-messages", { ...body, metadata: { user_id: id } }, "openai").json.user;
    expect(userOf(CLAUDE_CODE_USER).length).toBeLessThanOrEqual(64);
    expect(userOf(CLAUDE_CODE_USER)).toBe(userOf(CLAUDE_CODE_USER));
    expect(userOf(CLAUDE_CODE_USER)).not.toBe(userOf(CLAUDE_CODE_USER.replace("000000", "000001")));
    expect(userOf("u-1")).toBe("u-1");
  });

  test("an OpenAI client's user is shortened for Anthropic, whose bound is another", () => {
    const { json } = askedOf("openai-chat", { messages: MESSAGES, user: "u".repeat(300) }, "anthropic");
    expect(json.metadata.user_id).toHaveLength(256);
  });
});

describe("Codex's hints", () => {
  const body = {
    input: "hi",
    store: false,
    prompt_cache_key: "conv-1",
    include: ["reasoning.encrypted_content"],
    text: { verbosity: "low" },
    client_metadata: { session: "s" },
    metadata: { a: "b" },
  };

  test("go to OpenAI's chat wire under their names there", () => {
    const { json, dropped } = askedOf("openai-responses", body, "openrouter");
    expect(json).toMatchObject({ prompt_cache_key: "conv-1", verbosity: "low", metadata: { a: "b" } });
    expect(dropped).toEqual(["client_metadata"]);
  });

  test.each(UPSTREAMS.filter((kind) => kind !== "openai"))("never refuse the request at %s", (kind) => {
    const { dropped } = askedOf("openai-responses", body, kind);
    expect(dropped.toSorted()).toEqual(["client_metadata", "metadata", "prompt_cache_key", "text.verbosity"]);
  });

  test("a cache key longer than OpenAI's bound is shortened", () => {
    const { json } = askedOf(
      "openai-responses",
      { ...body, prompt_cache_key: "k".repeat(100) },
      "openrouter",
    );
    expect(json.prompt_cache_key).toHaveLength(64);
  });
});

test.each<[string, object, string]>([
  ["openai-chat", { messages: [{ role: "user", name: "Ann", content: "hi" }] }, "messages[0].name"],
  ["openai-chat", { messages: MESSAGES, metadata: { a: "b" } }, "metadata"],
  ["openai-chat", { messages: MESSAGES, service_tier: "priority" }, "service_tier"],
  ["openai-chat", { messages: MESSAGES, verbosity: "high" }, "verbosity"],
  ["openai-chat", { messages: MESSAGES, prompt_cache_retention: "24h" }, "prompt_cache_retention"],
  [
    "anthropic-messages",
    { max_tokens: 1, messages: MESSAGES, context_management: { edits: [] } },
    "context_management",
  ],
  ["anthropic-messages", { max_tokens: 1, messages: MESSAGES, metadata: { trace: "t" } }, "metadata.trace"],
  [
    "anthropic-messages",
    { max_tokens: 1, messages: MESSAGES, service_tier: "standard_only" },
    "service_tier",
  ],
  ["gemini", { contents: [{ role: "user", parts: [{ text: "hi" }] }], labels: { a: "b" } }, "labels"],
  ["openai-responses", { input: "hi", context_management: [{ type: "compaction" }] }, "context_management"],
])("%s clients' hint in %j is left out and listed as %s", (client, body, field) => {
  for (const kind of ["bedrock", "cohere"]) expect(askedOf(client, body, kind).dropped).toContain(field);
});

test.each<[string, object, string]>([
  ["openai-chat", { messages: MESSAGES, logit_bias: { 1: 5 } }, "logit_bias"],
  ["openai-responses", { input: "hi", previous_response_id: "resp_1" }, "previous_response_id"],
  ["anthropic-messages", { max_tokens: 1, messages: MESSAGES, mcp_servers: [{}] }, "mcp_servers"],
])("what changes the answer is still a 400 that names it: %s, %j", (client, body, param) => {
  const refused = expect.objectContaining({ code: "invalid_request", details: { param } });
  expect(() => askedOf(client, body, "bedrock")).toThrow(GatewayError);
  expect(catchFrom(() => askedOf(client, body, "bedrock"))).toEqual(refused);
});

function catchFrom(work: () => unknown): unknown {
  try {
    work();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("It was not refused.");
}
