// Who may be answered from the cache, and which answers may go there.
import { describe, expect, test } from "vitest";
import {
  cacheDirective,
  factsOfChunks,
  factsOfResponse,
  isStorable,
  type AnswerFacts,
  type CacheSettings,
} from "../../../src/cache/policy.ts";
import type { ChatChunk, ChatChoice } from "../../../src/schema/chat.ts";

const ON = { enabled: true, ttlSeconds: 3600 };
const OFF = { enabled: false, ttlSeconds: 3600 };
const modeOf = (headers: Record<string, string>, tenant: CacheSettings = ON) =>
  cacheDirective(new Headers(headers), tenant);

describe("the mode", () => {
  test("is the tenant's where the request says nothing", () => {
    expect(modeOf({})).toEqual({ mode: "on", ttlSeconds: 3600 });
    expect(modeOf({}, OFF)).toEqual({ mode: "off", ttlSeconds: 3600, reason: "tenant_off" });
  });

  test.each(["on", "refresh", "only-if-cached"])("is %s by header, whatever the tenant's", (mode) => {
    expect(modeOf({ "x-headgate-cache": mode }, OFF)).toEqual({ mode, ttlSeconds: 3600 });
    expect(modeOf({ "x-headgate-cache": ` ${mode.toUpperCase()} ` })).toMatchObject({ mode });
  });

  test("is off by header, and says who wanted it", () => {
    expect(modeOf({ "x-headgate-cache": "off" })).toMatchObject({ mode: "off", reason: "request_off" });
  });

  test.each([
    ["no-store", "off"],
    ["no-cache", "refresh"],
    ["only-if-cached", "only-if-cached"],
    ["max-age=60", "on"],
    ["Max-Age=0 , No-Store", "off"],
    ["no-cache, no-store", "off"],
  ])("by cache-control: %s it is %s", (value, mode) => {
    expect(modeOf({ "cache-control": value }).mode).toBe(mode);
  });

  test.each(["on", "refresh", "off"])(
    "is off, whatever the header (%s), where the tenant's cache is never on",
    (mode) => {
      const never = { enabled: "never", ttlSeconds: 3600 } as const;
      expect(modeOf({ "x-headgate-cache": mode }, never)).toMatchObject({
        mode: "off",
        reason: "tenant_off",
      });
      expect(modeOf({ "cache-control": "no-cache" }, never).mode).toBe("off");
      for (const header of ["x-headgate-cache", "cache-control"]) {
        expect(() => modeOf({ [header]: "only-if-cached" }, never)).toThrow(
          expect.objectContaining({ code: "cache_miss" }),
        );
      }
    },
  );

  test("by our own header comes before cache-control", () => {
    expect(modeOf({ "x-headgate-cache": "on", "cache-control": "no-store" }).mode).toBe("on");
  });

  test("is not switched on by the no-cache that clients send unasked", () => {
    expect(modeOf({ "cache-control": "no-cache" }, OFF)).toMatchObject({ mode: "off", reason: "tenant_off" });
  });

  test("that is none of the four is refused by the header's name", () => {
    expect(() => modeOf({ "x-headgate-cache": "yes" })).toThrow(
      expect.objectContaining({ code: "invalid_request", details: { param: "x-headgate-cache" } }),
    );
  });
});

describe("the time to live", () => {
  test.each([60, 61, 2_592_000])("may be %i seconds", (seconds) => {
    expect(modeOf({ "x-headgate-cache-ttl": String(seconds) }).ttlSeconds).toBe(seconds);
  });

  test.each(["59", "2592001", "0", "-60", "60.5", "1e3", "soon", ""])("may not be %j", (value) => {
    expect(() => modeOf({ "x-headgate-cache-ttl": value })).toThrow(
      expect.objectContaining({ code: "invalid_request", details: { param: "x-headgate-cache-ttl" } }),
    );
  });
});

describe("an answer", () => {
  const GOOD: AnswerFacts = {
    isComplete: true,
    finishReasons: ["stop"],
    hasRefusal: false,
    hasToolCalls: false,
  };

  test("that is complete and a 200 may be stored, also where it ended by length", () => {
    expect(isStorable(200, GOOD)).toEqual({ isStorable: true });
    expect(isStorable(200, { ...GOOD, finishReasons: ["length"] })).toEqual({ isStorable: true });
  });

  test.each([
    ["status", 500, GOOD],
    ["status", 429, GOOD],
    ["status", 206, GOOD],
    ["incomplete", 200, { ...GOOD, isComplete: false }],
    ["refusal", 200, { ...GOOD, hasRefusal: true }],
    ["content_filter", 200, { ...GOOD, finishReasons: ["stop", "content_filter"] }],
    ["tool_calls", 200, { ...GOOD, hasToolCalls: true }],
    ["tool_calls", 200, { ...GOOD, finishReasons: ["tool_calls"] }],
  ] as const)("is not stored because of its %s (%i)", (reason, status, facts) => {
    expect(isStorable(status, facts)).toEqual({ isStorable: false, reason });
  });

  test("with tool calls is stored where that was opted into", () => {
    expect(isStorable(200, { ...GOOD, hasToolCalls: true }, { toolCalls: true })).toEqual({
      isStorable: true,
    });
  });
});

describe("the facts of a whole answer", () => {
  const choice: ChatChoice = { index: 0, text: "Hi", toolCalls: [], finishReason: "stop" };
  const { finishReason: _, ...unfinished } = choice;

  test("it is complete when each choice has finished", () => {
    expect(factsOfResponse({ choices: [choice] })).toMatchObject({
      isComplete: true,
      finishReasons: ["stop"],
    });
    expect(factsOfResponse({ choices: [choice, unfinished] }).isComplete).toBe(false);
    expect(factsOfResponse({ choices: [] }).isComplete).toBe(false);
  });

  test("refusals and tool calls of any choice count", () => {
    expect(factsOfResponse({ choices: [choice, { ...choice, refusal: "No." }] }).hasRefusal).toBe(true);
    const toolCalls = [{ id: "1", name: "f", argumentsJson: "{}" }];
    expect(factsOfResponse({ choices: [choice, { ...choice, toolCalls }] }).hasToolCalls).toBe(true);
  });
});

describe("the facts of a stream", () => {
  const text = (index: number): ChatChunk => ({ type: "text", index, text: "Hi" });
  const finish = (index: number): ChatChunk => ({ type: "finish", index, reason: "stop" });
  const done: ChatChunk = { type: "done" };

  test.each<[string, boolean, readonly ChatChunk[]]>([
    ["text, finish and end mark", true, [text(0), finish(0), done]],
    ["no end mark, but each choice has finished", true, [text(0), text(1), finish(0), finish(1)]],
    ["an end mark without a finish", true, [text(0), done]],
    ["one choice unfinished", false, [text(0), text(1), finish(0)]],
    ["no finish", false, [text(0)]],
    ["an error", false, [text(0), { type: "error", errorType: "x" }, finish(0), done]],
    ["nothing but an end mark", false, [done]],
    ["nothing", false, []],
  ])("%s: complete is %s", (_name, isComplete, chunks) => {
    expect(factsOfChunks(chunks).isComplete).toBe(isComplete);
  });

  test("refusals, tool calls and reasons are seen", () => {
    const chunks: readonly ChatChunk[] = [
      { type: "refusal", index: 0, text: "No" },
      { type: "tool_call", index: 1, call: 0, argumentsFragment: "" },
      { type: "finish", index: 0, reason: "content_filter" },
      { type: "finish", index: 1, reason: "tool_calls" },
    ];
    expect(factsOfChunks(chunks)).toEqual({
      isComplete: true,
      finishReasons: ["content_filter", "tool_calls"],
      hasRefusal: true,
      hasToolCalls: true,
    });
  });
});
