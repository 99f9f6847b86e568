// Reports about what agents send beside their question: hints that change no answer, fields that are too long, freeform tools, and
// compressed bodies.
import { gzipSync, zstdCompressSync } from "node:zlib";
import { expect } from "vitest";
import { saidIn } from "./calls.ts";
import { chatAnswer, chatChunk, chatUsage, type ReportCase, type Seen } from "./report-case.ts";

const HI = [{ role: "user", content: "hi" }];
/** As Claude Code writes its user: longer than OpenAI takes. */
const userId = (session: string): string =>
  JSON.stringify({
    device_id: "d".repeat(64),
    account_uuid: "11111111-2222-3333-4444-555555555555",
    session_id: session,
  });
const MAX_USER_CHARS = 64;
const asUser = (session: string) => ({
  max_tokens: 100,
  metadata: { user_id: userId(session) },
  messages: HI,
});

function checkDropped({ status, text, headers }: Seen, names: readonly string[]): void {
  expect(status, text).toBe(200);
  expect((headers.get("x-headgate-dropped") ?? "").split(", ")).toEqual(expect.arrayContaining([...names]));
}

const users = new Set<unknown>();
function checkUser({ status, text, sent }: Seen): void {
  expect(status, text).toBe(200);
  const { user, safety_identifier: safety = user } = sent?.json ?? {};
  const id = user ?? safety;
  if (id === undefined) return;
  expect(typeof id === "string" && id.length <= MAX_USER_CHARS, JSON.stringify(id)).toBe(true);
  users.add(id);
}

const PATCH = "*** Begin Patch\n*** End Patch";
const CUSTOM = {
  type: "custom",
  name: "apply_patch",
  description: "freeform patch",
  format: { type: "grammar", syntax: "lark", definition: "start: /.+/s" },
};
const PATCH_CALL = {
  id: "call_1",
  type: "function",
  function: { name: "apply_patch", arguments: JSON.stringify({ input: PATCH }) },
};
const PATCH_REPLY = {
  whole: chatAnswer({ tool_calls: [PATCH_CALL] }, "tool_calls"),
  streamed: [
    chatChunk({ tool_calls: [{ index: 0, ...PATCH_CALL }] }),
    chatChunk({}, "tool_calls"),
    chatUsage(),
    "[DONE]",
  ],
};
function checkPatch(seen: Seen): void {
  expect(seen.status, seen.text).toBe(200);
  // The finished item, whole or as the stream's own event of it.
  expect(JSON.stringify(saidIn(seen).at(-1))).toContain('"type":"custom_tool_call"');
  expect(JSON.stringify(saidIn(seen).at(-1))).toContain(`"input":${JSON.stringify(PATCH)}`);
  if (seen.sent !== undefined)
    expect(seen.sent.json).toMatchObject({
      tools: [{ type: "function", function: { name: "apply_patch" } }],
    });
}

export const HINT_REPORTS: Readonly<Record<string, readonly ReportCase[]>> = {
  "a field longer than the vendor takes is shortened": [
    {
      name: "Claude Code's user at OpenAI",
      vendor: "openai",
      model: "gpt-5",
      client: "messages",
      body: asUser("66666666-7777-8888-9999-000000000000"),
      check: checkUser,
    },
    {
      name: "variant: two users who differ at the end stay two",
      vendor: "openai",
      model: "gpt-5",
      client: "messages",
      body: asUser("66666666-7777-8888-9999-000000000001"),
      check: (seen) => {
        checkUser(seen);
        expect(users.size).not.toBe(1);
      },
    },
  ],

  "a hint that changes no answer refuses nothing": [
    {
      name: "Claude Code's user on Bedrock",
      vendor: "bedrock",
      model: "anthropic.claude-sonnet-4-5-20250929-v1:0",
      client: "messages",
      body: asUser("66666666-7777-8888-9999-000000000000"),
      check: (seen) => checkDropped(seen, ["metadata.user_id"]),
    },
    {
      name: "Codex' cache key at a compatible server",
      vendor: "openai-compatible",
      client: "responses",
      body: {
        input: "hi",
        store: false,
        prompt_cache_key: "conv-1",
        include: ["reasoning.encrypted_content"],
      },
      check: ({ status, text, sent, headers }) => {
        expect(status, text).toBe(200);
        const said = `${sent?.body} ${headers.get("x-headgate-dropped")}`;
        expect(said).toContain("prompt_cache_key");
      },
    },
    {
      name: "variant: OpenAI's hints at Claude",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "chat",
      body: {
        messages: HI,
        prompt_cache_key: "conv-1",
        safety_identifier: "someone",
        metadata: { run: "1" },
        store: false,
      },
      check: (seen) => checkDropped(seen, ["prompt_cache_key"]),
    },
  ],

  "freeform tools are functions elsewhere, and freeform for the client": [
    {
      name: "Codex' patch at a compatible server",
      vendor: "openai-compatible",
      client: "responses",
      body: { input: "hi", tools: [CUSTOM] },
      reply: PATCH_REPLY,
      isCached: true,
      check: checkPatch,
    },
    {
      name: "variant: with an earlier patch in the history",
      vendor: "openai-compatible",
      client: "responses",
      body: {
        input: [
          { role: "user", content: "hi" },
          { type: "custom_tool_call", call_id: "call_0", name: "apply_patch", input: PATCH },
          { type: "custom_tool_call_output", call_id: "call_0", output: "applied" },
        ],
        tools: [CUSTOM],
      },
      reply: PATCH_REPLY,
      isCached: true,
      check: (seen) => {
        checkPatch(seen);
        if (seen.sent === undefined) return;
        expect(seen.sent.json).toMatchObject({
          messages: [
            { role: "user" },
            {
              role: "assistant",
              tool_calls: [{ id: "call_0", function: { arguments: JSON.stringify({ input: PATCH }) } }],
            },
            { role: "tool", tool_call_id: "call_0", content: "applied" },
          ],
        });
      },
    },
  ],

  "a compressed body is read": [
    {
      name: "gzip",
      vendor: "openai-compatible",
      client: "chat",
      headers: { "content-encoding": "gzip" },
      body: { messages: HI },
      encode: (json) => new Uint8Array(gzipSync(json)),
      check: ({ status, text, sent }) => {
        expect(status, text).toBe(200);
        expect(sent?.json).toMatchObject({ messages: HI });
      },
    },
    {
      name: "variant: zstd, as Codex sends it, to Claude",
      vendor: "anthropic",
      model: "claude-sonnet-4-5",
      client: "responses",
      headers: { "content-encoding": "zstd" },
      body: { input: "hi" },
      encode: (json) => new Uint8Array(zstdCompressSync(json)),
      check: ({ status, text, sent }) => {
        expect(status, text).toBe(200);
        expect(sent?.body).toContain("hi");
      },
    },
  ],
};
