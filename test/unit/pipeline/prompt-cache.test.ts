// What is read of a request for the vendor's prompt cache: sessions, marks, and where two prompts begin to differ.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  digestPrompt,
  openingDigest,
  partName,
  readPromptSession,
} from "../../../src/pipeline/prompt-cache/read-prompt.ts";
import { countSameParts } from "../../../src/targets/prompt-turns.ts";
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import { geminiGenerateContent } from "../../../src/wires/gemini/client-wire.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { openAiResponses } from "../../../src/wires/openai-responses/client-wire.ts";

type Body = Readonly<Record<string, unknown>>;
const claude = (body: Body) => ({ wire: anthropicMessages, body });
const gpt = (body: Body) => ({ wire: openAiChat, body });

const MARK = { cache_control: { type: "ephemeral" } };
const text = (of: string, more: Body = {}) => ({ type: "text", text: of, ...more });
const user = (content: unknown) => ({ role: "user", content });

describe("a session", () => {
  test.each<[string, Body]>([
    ["at the top", { ...MARK, messages: [user("hi")] }],
    ["on a tool", { tools: [{ name: "t" }, { name: "u", ...MARK }], messages: [user("hi")] }],
    ["in the system prompt", { system: [text("s", MARK)], messages: [user("hi")] }],
    ["on a message's part", { messages: [user("hi"), user([text("x"), text("y", MARK)])] }],
  ])("a mark %s makes one", (_, body) => {
    expect(readPromptSession(claude(body), undefined)?.id).toBe(String(openingDigest(claude(body))));
  });

  test("without a session, a key and a mark there is none", () => {
    expect(readPromptSession(gpt({ messages: [user("cache_control")] }), undefined)).toBeUndefined();
    expect(readPromptSession(gpt({ messages: "odd", tools: 5 }), undefined)).toBeUndefined();
  });

  test("the header comes before `prompt_cache_key`", () => {
    const body = { prompt_cache_key: "k", messages: [user("hi")] };
    expect(readPromptSession(gpt(body), undefined)).toEqual({ id: "k", isLong: false });
    expect(readPromptSession(gpt(body), "s")?.id).toBe("s");
  });

  test("the long life is Anthropic's hour or OpenAI's day", () => {
    const hour = { cache_control: { type: "ephemeral", ttl: "1h" }, messages: [user("hi")] };
    expect(readPromptSession(claude(hour), undefined)?.isLong).toBe(true);
    const day = { prompt_cache_retention: "24h", messages: [user("hi")] };
    expect(readPromptSession(gpt(day), "s")?.isLong).toBe(true);
  });
});

const word = fc.string({ maxLength: 20 });
const message = fc.record({ role: fc.constantFrom("user", "assistant"), content: word });
const messages = fc.array(message, { minLength: 1, maxLength: 12 });

describe("digests of a prompt", () => {
  const same = (before: Body, after: Body) =>
    countSameParts(digestPrompt(gpt(before)), digestPrompt(gpt(after)));

  test("a longer conversation begins as the shorter one did", () => {
    fc.assert(
      fc.property(messages, messages, (before, more) => {
        const parts = digestPrompt(gpt({ messages: before })).length;
        expect(same({ messages: before }, { messages: [...before, ...more] })).toBe(parts);
      }),
    );
  });

  test("a changed message is found at its place", () => {
    fc.assert(
      fc.property(messages, fc.nat(), (before, at) => {
        const changedAt = at % before.length;
        const after = before.map((one, index) =>
          index === changedAt ? { ...one, content: `${one.content}!` } : one,
        );
        expect(partName(gpt({}), same({ messages: before }, { messages: after }))).toBe(
          `messages[${changedAt}]`,
        );
      }),
    );
  });

  test("marks that move change nothing", () => {
    fc.assert(
      fc.property(messages, fc.nat(), fc.nat(), (all, one, other) => {
        const marked = (at: number) =>
          all.map((each, index) =>
            index === at % all.length ? { ...each, content: [text(each.content, MARK)] } : each,
          );
        const [before, after] = [
          digestPrompt(claude({ messages: marked(one) })),
          digestPrompt(claude({ messages: marked(other) })),
        ];
        expect(after).toEqual(before);
      }),
    );
  });

  test("a text that speaks of marks is not one", () => {
    const said = (of: string) => ({ messages: [user(`{"cache_control":{"a":${of}}}`)] });
    expect(same(said("1"), said("2"))).toBeLessThan(digestPrompt(gpt(said("1"))).length);
  });

  test("tools, system prompt and settings come before the messages", () => {
    const body = {
      tools: [{ name: "t" }],
      system: "s",
      thinking: { type: "enabled" },
      messages: [user("hi")],
    };
    const changed = (fields: Body) => partName(claude(body), same(body, { ...body, ...fields }));
    expect(changed({ tools: [] })).toBe("tools");
    expect(changed({ system: "other" })).toBe("system");
    expect(changed({ thinking: { type: "disabled" } })).toBe("settings");
  });

  test("each wire's turns have the client's names", () => {
    expect(partName({ wire: openAiResponses }, 4)).toBe("input[1]");
    expect(partName({ wire: geminiGenerateContent }, 3)).toBe("contents[0]");
  });

  test("a conversation of thousands of messages has a bounded number of digests", () => {
    const many = Array.from({ length: 5000 }, () => user("x"));
    expect(digestPrompt(gpt({ messages: many })).length).toBe(1024);
  });

  test("system messages are not a conversation's opening", () => {
    const of = (system: string, first: string) =>
      openingDigest(gpt({ messages: [{ role: "system", content: system }, user(first)] }));
    expect(of("a", "hi")).toBe(of("b", "hi"));
    expect(of("a", "hi")).not.toBe(of("a", "ho"));
  });
});
