// Whole messages and refusals of an Anthropic upstream, read into our words.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readAnthropicError } from "../../../../src/wires/anthropic/upstream-errors.ts";
import { readMessage } from "../../../../src/wires/anthropic/upstream-answer.ts";
import { fixtureJson } from "../../../support/builders/wire-fixtures.ts";

const read = (name: string) => readMessage(fixtureJson(`anthropic/${name}.json`));

describe("a whole message", () => {
  test("is text, reason and usage, with cached tokens counted as input", () => {
    expect(read("text")).toEqual({
      id: "msg_01XFDUDYJgAACzvnptvVoYEL",
      model: "claude-sonnet-4-5-20250929",
      choices: [{ index: 0, text: "Hello there! 👋🏽 How can I help?", toolCalls: [], finishReason: "stop" }],
      usage: { inputTokens: 2067, outputTokens: 15, cacheReadTokens: 2048, cacheWriteTokens: 0 },
    });
  });

  test("keeps the arguments of parallel calls as JSON", () => {
    expect(read("tools").choices[0]).toMatchObject({
      text: "I'll look both up.",
      toolCalls: [
        { name: "get_weather", argumentsJson: '{"city":"Zürich"}' },
        { name: "get_time", argumentsJson: '{"zone":"Europe/Zurich"}' },
        { id: "toolu_01NRLabsLyVHZPKxbKvkfSMn", name: "ping", argumentsJson: "{}" },
      ],
      finishReason: "tool_calls",
    });
  });

  test("keeps thoughts, their signature and what is sealed apart from the text", () => {
    expect(read("thinking")).toMatchObject({
      choices: [
        {
          text: "It is prime.",
          reasoning: "Seventeen is odd.",
          reasoningSignature: expect.stringMatching(/^EqQB/),
          encryptedReasoning: ["EmwKAhgBEgy3va3pzix"],
          finishReason: "stop",
          stopSequence: "END",
        },
      ],
      usage: { inputTokens: 119, cacheWriteTokens: 100, outputTokens: 40, reasoningTokens: 32 },
    });
  });

  test("gives thoughts that were joined no signature, since none fits", () => {
    const thought = (thinking: string, signature: string) => ({ type: "thinking", thinking, signature });
    const content = [thought("a", "s1"), thought("b", "s2")];
    const [choice] = readMessage({ type: "message", content, stop_reason: "end_turn" }).choices;
    expect(choice).toMatchObject({ reasoning: "ab" });
    expect(choice).not.toHaveProperty("reasoningSignature");
  });

  test("says which stretch of the text a citation stands behind", () => {
    const [choice] = read("citations").choices;
    const [citation] = choice?.citations ?? [];
    expect(choice?.text.slice(citation?.startIndex, citation?.endIndex)).toBe("450,000 people");
    expect(citation).toMatchObject({ url: "https://example.com/zurich", title: "Zürich" });
  });

  test("that a classifier stopped is content-filtered, with its explanation as the refusal", () => {
    expect(read("refusal").choices[0]).toMatchObject({
      finishReason: "content_filter",
      refusal: "This request can't be answered.",
    });
  });

  test.each([null, [], "x", {}, { content: "x" }])("%j is malformed", (body) => {
    expect(() => readMessage(body)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });

  test("an error with a 2xx status is the upstream's fault", () => {
    const body = fixtureJson("anthropic/errors/529.json");
    expect(() => readMessage(body)).toThrow(expect.objectContaining({ code: "upstream_error" }));
  });

  test("no body makes it throw anything but a row of the table", () => {
    const block = fc.record({ type: fc.constantFrom("text", "thinking", "tool_use"), text: fc.jsonValue() });
    const body = fc.record({
      content: fc.oneof(fc.array(fc.oneof(block, fc.jsonValue())), fc.jsonValue()),
      usage: fc.jsonValue(),
      stop_reason: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.oneof(body, fc.jsonValue()), (value) => {
        try {
          expect(readMessage(value).choices).toHaveLength(1);
        } catch (error) {
          expect(error).toMatchObject({
            code: expect.stringMatching(/^upstream_(malformed|error)$/) as unknown,
          });
        }
      }),
    );
  });
});

describe("a refusal", () => {
  const NOW_MS = Date.UTC(2026, 10, 25, 10, 0, 0);
  const refuse = (status: number, name: string, headers: Record<string, string> = {}) =>
    readAnthropicError(status, new Headers(headers), fixtureJson(`anthropic/${name}.json`), {
      nowMs: NOW_MS,
    });

  test.each([
    [400, "errors/400", "upstream_rejected"],
    [400, "errors/400-credit", "upstream_auth"],
    [401, "errors/401", "upstream_auth"],
    [404, "errors/404", "upstream_rejected"],
    [429, "errors/429", "upstream_rate_limited"],
    [529, "errors/529", "upstream_overloaded"],
  ] as const)("of %i (%s) is %s", (status, name, code) => {
    expect(refuse(status, name)).toMatchObject({ code, details: { upstreamStatus: status } });
  });

  test("that is the caller's fault keeps the upstream's words", () => {
    expect(refuse(400, "errors/400").message).toBe("messages.0.content.0.text.text: Field required");
  });

  test("that is the account's is not", () => {
    expect(refuse(400, "errors/400-credit").message).not.toContain("Plans & Billing");
  });

  test("for its rate names the wait of `retry-after`, else that of the limit used up", () => {
    const limits = {
      "anthropic-ratelimit-requests-remaining": "12",
      "anthropic-ratelimit-requests-reset": "2026-11-25T10:09:00Z",
      "anthropic-ratelimit-input-tokens-remaining": "0",
      "anthropic-ratelimit-input-tokens-reset": "2026-11-25T10:00:42Z",
    };
    expect(refuse(429, "errors/429", limits).details.retryAfterMs).toBe(42_000);
    expect(refuse(429, "errors/429", { ...limits, "retry-after": "7" }).details.retryAfterMs).toBe(7000);
    expect(refuse(429, "errors/429").details.retryAfterMs).toBeUndefined();
  });
});
