/** A request read before is read no more, and is the same as if it were; another request is read in full. */
import { describe, expect, test } from "vitest";
import { geminiEmbed } from "../../../src/wires/gemini/client-embeddings.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { createRequestReader } from "../../../src/wires/known-requests.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";

const BODY = '{"model":"m","messages":[{"role":"user","content":"hi"}]}';

describe("a body", () => {
  test("is read once, and found again after that", () => {
    const read = createRequestReader();
    const first = read(openAiChat, BODY, {});
    expect(first).toEqual(openAiChat.parseRequest(BODY));
    expect(read(openAiChat, BODY, {})).toBe(first);
    expect(read(openAiChat, `${BODY} `, {})).not.toBe(first);
  });

  test("means another thing in another dialect, path or tenant", () => {
    const read = createRequestReader();
    const body = '{"contents":[{"parts":[{"text":"hi"}]}],"content":{"parts":[{"text":"hi"}]}}';
    expect(read(geminiGenerateContent, body, { model: "a" }).model).toBe("a");
    expect(read(geminiGenerateContent, body, { model: "b" }).model).toBe("b");
    expect(read(geminiGenerateContent, body, { defaultModel: "a" }).model).toBe("a");
    expect(read(geminiGenerateContent, body, { model: "a", stream: true }).stream).toBe(true);
    expect(read(geminiGenerateContent, body, { model: "a" }).stream).toBe(false);
    expect(read(geminiEmbed, body, { model: "a" }).wire).toBe(
      geminiEmbed.parseRequest(body, { model: "a" }).wire,
    );
    const unnamed = '{"messages":[{"role":"user","content":"hi"}]}';
    expect(read(openAiChat, unnamed, { defaultModel: "x" }).model).toBe("x");
    expect(() => read(openAiChat, unnamed, {})).toThrow(expect.objectContaining({ code: "invalid_request" }));
  });

  test("at fault is refused each time", () => {
    const read = createRequestReader();
    for (let time = 0; time < 3; time += 1) {
      expect(() => read(openAiChat, '{"model":', {})).toThrow(
        expect.objectContaining({ code: "invalid_request" }),
      );
    }
  });

  test("that is long is not kept, and of short ones no more than 128", () => {
    const read = createRequestReader();
    const long = JSON.stringify({ model: "m", messages: [{ role: "user", content: "x".repeat(4096) }] });
    expect(read(openAiChat, long, {})).not.toBe(read(openAiChat, long, {}));
    const first = read(openAiChat, BODY, {});
    for (let at = 0; at < 128; at += 1) read(openAiChat, BODY.replace("hi", `hi ${at}`), {});
    expect(read(openAiChat, BODY, {})).not.toBe(first);
  });
});
