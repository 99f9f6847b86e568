// The estimate of a request's tokens, for targets whose vendor can't count for the client's dialect.
import { expect, test } from "vitest";
import type { Conversation, Part } from "../../../../src/schema/conversation.ts";
import { estimateInputTokens } from "../../../../src/pipeline/operations/count-tokens.ts";

const text = (chars: number): Part => ({ type: "text", text: "x".repeat(chars) });
const estimate = (fields: Partial<Conversation>): number =>
  estimateInputTokens({ system: [], messages: [], tools: [], sampling: {}, ...fields }, "openai");
const said = (...parts: readonly Part[]): number => estimate({ messages: [{ role: "user", parts }] });

test("counts text by its script, and each message's frame", () => {
  expect(estimate({})).toBe(0);
  expect(said(text(400))).toBe(92);
  expect(estimate({ system: [text(40)] })).toBe(9);
  expect(said({ type: "text", text: "人".repeat(100) })).toBe(91);
});

test("counts tools, calls and results as the text they are", () => {
  expect(estimate({ tools: [{ name: "f", description: "x".repeat(400) }] })).toBeGreaterThan(88);
  expect(said({ type: "tool_call", id: "a", name: "look", argumentsJson: "x".repeat(36) })).toBe(13);
  expect(said({ type: "tool_result", callId: "a", parts: [text(40)] })).toBe(13);
});

test("counts media by the piece, not by their bytes", () => {
  const source = { kind: "inline", mediaType: "image/png", base64: "A".repeat(4_000_000) } as const;
  expect(said({ type: "image", source })).toBeLessThan(2000);
  const pdf = { ...source, mediaType: "application/pdf", base64: "A".repeat(60_000) };
  expect(said({ type: "document", source: pdf })).toBeLessThan(5000);
  expect(said({ type: "audio", source: { ...source, mediaType: "audio/mp3" } })).toBeLessThan(5000);
  expect(said({ type: "document", source: { kind: "text", text: "x".repeat(400) } })).toBe(92);
});
