// The tier of an answer, as each wire says it, whole and streamed; the usual one is no word worth.
import { expect, test } from "vitest";
import { createAnthropicDecoder } from "../../../src/wires/anthropic/upstream-stream.ts";
import { readMessage } from "../../../src/wires/anthropic/upstream-answer.ts";
import { createResponsesDecoder, readResponse } from "../../../src/wires/openai-responses/upstream-wire.ts";
import { createOpenAiDecoder } from "../../../src/wires/openai-chat/upstream-stream.ts";
import { readCompletion } from "../../../src/wires/openai-chat/upstream-answer.ts";
import type { Decoder } from "../../../src/wires/upstream-wire.ts";

const tierOf = (decode: Decoder, event: object) => {
  const chunks = decode({ event: "message", data: JSON.stringify(event) });
  return chunks.flatMap((chunk) => (chunk.type === "usage" ? [chunk.usage.tier] : []));
};

test.each([
  ["flex", "flex"],
  ["batch", "batch"],
  ["default", undefined],
  ["standard", undefined],
  [null, undefined],
  ["x".repeat(99), undefined],
])("%s is the tier %s", (service_tier, tier) => {
  const chatUsage = { prompt_tokens: 1, completion_tokens: 1 };
  const usage = { input_tokens: 1, output_tokens: 1 };
  const choices = [{ index: 0, message: { role: "assistant", content: "x" }, finish_reason: "stop" }];
  expect(readCompletion({ choices, usage: chatUsage, service_tier }).usage?.tier).toBe(tier);
  expect(tierOf(createOpenAiDecoder(), { choices: [], usage: chatUsage, service_tier })).toEqual([tier]);

  const response = { status: "completed", output: [], usage, service_tier };
  expect(readResponse(response).usage?.tier).toBe(tier);
  expect(tierOf(createResponsesDecoder(), { type: "response.completed", response })).toEqual([tier]);

  const message = { type: "message", content: [], usage: { ...usage, service_tier } };
  expect(readMessage(message).usage?.tier).toBe(tier);
  expect(tierOf(createAnthropicDecoder(), { type: "message_start", message })).toEqual([tier]);
});
