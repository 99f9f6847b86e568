// The words that end an answer, at every upstream wire, whole and streamed: a success is only what is known to be one.
import { describe, expect, test } from "vitest";
import type { FinishReason } from "../../../src/schema/chat.ts";
import { FINISH_WORDS, finishChunks, readFinish } from "../../../src/wires/finish-words.ts";
import type { UpstreamWire } from "../../../src/wires/upstream-wire.ts";
import { boundChatWire } from "../../../src/wires/workers-ai/upstream-binding.ts";
import { askedOf } from "../gateway/reported/asked.ts";

interface Ending {
  readonly wire: UpstreamWire;
  whole(word: unknown): unknown;
  readonly event?: string;
  /** The data of the event that ends a stream. */
  last(word: unknown): unknown;
}

function wireOf(client: "openai-chat" | "openai-responses", kind: string): UpstreamWire {
  const body = client === "openai-chat" ? { messages: [{ role: "user", content: "hi" }] } : { input: "hi" };
  return askedOf(client, body, kind).exchange.upstreamWire;
}

const chatChoice = (word: unknown): object => ({ index: 0, finish_reason: word });

/** Every upstream wire, by its own form of an end. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  "openai-chat": {
    wire: wireOf("openai-chat", "openai-compatible"),
    whole: (word) => ({ choices: [{ ...chatChoice(word), message: { content: "hi" } }] }),
    last: (word) => ({ choices: [{ ...chatChoice(word), delta: {} }] }),
  },
  "openai-responses": {
    wire: wireOf("openai-responses", "openai"),
    whole: (word) => ({ output: [], status: word }),
    last: (word) => ({ type: "response.completed", response: { output: [], status: word } }),
  },
  "openai-responses, incomplete": {
    wire: wireOf("openai-responses", "openai"),
    whole: (word) => ({ output: [], status: "incomplete", incomplete_details: { reason: word } }),
    last: (word) => ({
      type: "response.incomplete",
      response: { status: "incomplete", incomplete_details: { reason: word } },
    }),
  },
  anthropic: {
    wire: wireOf("openai-chat", "anthropic"),
    whole: (word) => ({ content: [], stop_reason: word }),
    last: (word) => ({ type: "message_delta", delta: { stop_reason: word } }),
  },
  gemini: {
    wire: wireOf("openai-chat", "gemini"),
    whole: (word) => ({ candidates: [{ content: { parts: [{ text: "hi" }] }, finishReason: word }] }),
    last: (word) => ({ candidates: [{ content: { parts: [{ text: "hi" }] }, finishReason: word }] }),
  },
  converse: {
    wire: wireOf("openai-chat", "bedrock"),
    whole: (word) => ({ output: { message: { content: [] } }, stopReason: word }),
    event: "messageStop",
    last: (word) => ({ stopReason: word }),
  },
  cohere: {
    wire: wireOf("openai-chat", "cohere"),
    whole: (word) => ({ message: { content: [] }, finish_reason: word }),
    last: (word) => ({ type: "message-end", delta: { finish_reason: word } }),
  },
  "workers-ai": {
    wire: boundChatWire,
    whole: (word) => ({ response: "hi", finish_reason: word }),
    last: (word) => ({ response: "", finish_reason: word }),
  },
};

const WIRES = Object.entries(ENDINGS);
/** Words that no vendor has said yet, of every kind that JSON has. */
const UNKNOWN = ["stopped_by_the_moon", "STOPPED", "constructor", "toString", "a b\n<script>", 7, true, {}];

function streamed({ wire, last, event = "message" }: Ending, word: unknown) {
  return wire.decoder()({ event, data: JSON.stringify(last(word)) });
}

describe.each(WIRES)("%s", (_, ending) => {
  test.each(UNKNOWN)("ends by the unknown word %j as an error", (word) => {
    expect(() => ending.wire.toResponse(ending.whole(word))).toThrow(
      expect.objectContaining({ code: "upstream_error", canFallBack: true }),
    );
    const types = streamed(ending, word).map(({ type }) => type);
    expect(types).toContain("error");
    expect(types).not.toContain("finish");
  });

  test.each([...FINISH_WORDS].filter(([, meaning]) => meaning === "failed"))(
    "ends by the failure '%s' as an error",
    (word) => {
      for (const said of [word, word.toUpperCase()]) {
        expect(() => ending.wire.toResponse(ending.whole(said))).toThrow(
          expect.objectContaining({ code: "upstream_error" }),
        );
        expect(streamed(ending, said)).toContainEqual({ type: "error", errorType: word });
      }
    },
  );

  test.each([...FINISH_WORDS].filter(([, meaning]) => meaning !== "failed" && meaning !== "open"))(
    "ends by '%s' as %s",
    (word, reason) => {
      expect(ending.wire.toResponse(ending.whole(word)).choices[0]?.finishReason).toBe(reason);
      expect(streamed(ending, word)).toContainEqual({ type: "finish", index: 0, reason });
    },
  );
});

test.each<[unknown, boolean, FinishReason | undefined]>([
  ["STOP", false, "stop"],
  ["STOP", true, "tool_calls"],
  ["MAX_TOKENS", true, "length"],
  ["FINISH_REASON_UNSPECIFIED", false, undefined],
  ["null", false, undefined],
  ["", false, undefined],
  [null, true, undefined],
  [undefined, true, undefined],
])("%j with calls: %s is %j", (word, hasCalls, reason) => {
  expect(readFinish(word, { hasCalls })).toBe(reason);
  expect(finishChunks(word, 0, { hasCalls })).toEqual(
    reason === undefined ? [] : [{ type: "finish", index: 0, reason }],
  );
});

test("an unknown word is only said where it is short", () => {
  expect(finishChunks("a b\n<script>", 0)).toEqual([{ type: "error", errorType: "unknown" }]);
  expect(() => readFinish("x".repeat(65))).toThrow("The upstream ended its answer with 'unknown'.");
});
