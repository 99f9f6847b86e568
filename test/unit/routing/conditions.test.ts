import { describe, expect, test } from "vitest";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { chooseBranch, isInTimeWindow, type RequestTraits } from "../../../src/routing/conditions.ts";
import { needsOf } from "../../../src/routing/needs.ts";
import { routeSchema } from "../../../src/tenants/records/route-record.ts";
import { fakeChat } from "../../support/fakes/fake-tenant.ts";

const OWN = [{ provider: "a", model: "own" }];
const OTHER = [{ provider: "b", model: "other" }];
/** A Wednesday. */
const AT = Date.parse("2026-11-25T10:30:00Z");

const TRAITS: RequestTraits = {
  promptTokens: 100,
  metadata: {},
  keyMetadata: {},
  at: AT,
  needs: () => new Set(),
};

function branch(condition: object, traits: Partial<RequestTraits> = {}) {
  const route = routeSchema.parse({ targets: OWN, when: [{ if: condition, targets: OTHER }] });
  const { targets, because } = chooseBranch(route, { ...TRAITS, ...traits });
  return { taken: targets[0]?.model, because };
}

describe("a route's conditions", () => {
  test.each<[string, object, Partial<RequestTraits>, boolean]>([
    ["a prompt at the lower bound", { promptTokens: { min: 100 } }, {}, true],
    ["a prompt below it", { promptTokens: { min: 101 } }, {}, false],
    ["a prompt above the upper one", { promptTokens: { max: 99 } }, {}, false],
    ["metadata of that value", { metadata: { tier: "gold" } }, { metadata: { tier: "gold" } }, true],
    [
      "metadata of one of several",
      { metadata: { tier: ["gold", "silver"] } },
      { metadata: { tier: "silver" } },
      true,
    ],
    ["what the key says", { key: { metadata: { tier: "gold" } } }, { keyMetadata: { tier: "gold" } }, true],
    [
      "what only the client says of the key",
      { key: { metadata: { tier: "gold" } } },
      { metadata: { tier: "gold" } },
      false,
    ],
    ["metadata of another value", { metadata: { tier: "gold" } }, { metadata: { tier: "tin" } }, false],
    ["no such metadata", { metadata: { constructor: "gold" } }, {}, false],
    [
      "a need that the request has",
      { needs: ["tools"] },
      { needs: () => new Set(["tools", "images"] as const) },
      true,
    ],
    ["one need of two", { needs: ["tools", "audio"] }, { needs: () => new Set(["tools"] as const) }, false],
    ["the time", { time: { days: ["wed"], from: "10:00", to: "11:00" } }, {}, true],
    ["another day", { time: { days: ["thu"] } }, {}, false],
    ["all of several", { promptTokens: { min: 1 }, metadata: { a: "b" } }, { metadata: { a: "b" } }, true],
    ["some of several", { promptTokens: { min: 1 }, metadata: { a: "b" } }, {}, false],
  ])("are met by %s: %j", (_, condition, traits, holds) => {
    expect(branch(condition, traits).taken).toBe(holds ? "other" : "own");
  });

  test("say what held, without the client's values", () => {
    const { because } = branch(
      { metadata: { tier: "gold" }, promptTokens: { min: 5 } },
      { metadata: { tier: "gold" } },
    );
    expect(because).toBe("when[0]: about 100 prompt tokens, metadata tier");
  });

  test("are looked at in order: the first branch that holds is taken, with its own strategy", () => {
    const route = routeSchema.parse({
      targets: OWN,
      when: [
        { if: { promptTokens: { min: 1000 } }, targets: OWN },
        { if: { promptTokens: { min: 10 } }, targets: OTHER, strategy: "least-cost" },
        { if: { promptTokens: { min: 1 } }, targets: OWN },
      ],
    });
    expect(chooseBranch(route, TRAITS)).toMatchObject({
      strategy: "least-cost",
      because: expect.stringMatching(/^when\[1\]/),
    });
  });

  test("don't read the request's meaning where nothing asks for it", () => {
    const needs = (): never => {
      throw new Error("read");
    };
    expect(branch({ promptTokens: { min: 1 } }, { needs }).taken).toBe("other");
    expect(branch({ promptTokens: { min: 1000 }, needs: ["tools"] }, { needs }).taken).toBe("own");
  });

  test.each([
    [{}, /condition/],
    [{ time: { timeZone: "Mars/Olympus" } }, /time zone/],
    [{ time: { from: "25:00" } }, /time/],
    [{ needs: ["telepathy"] }, /tools/],
  ])("that make no sense are refused: %j", (condition, message) => {
    const parsed = routeSchema.safeParse({ targets: OWN, when: [{ if: condition, targets: OTHER }] });
    expect(parsed.error?.message).toMatch(message);
  });
});

describe("a window of time", () => {
  test.each<[object, string, boolean]>([
    [{ from: "08:00", to: "18:00" }, "2026-11-25T08:00:00Z", true],
    [{ from: "08:00", to: "18:00" }, "2026-11-25T18:00:00Z", false],
    [{ from: "22:00", to: "06:00" }, "2026-11-25T23:59:00Z", true],
    [{ from: "22:00", to: "06:00" }, "2026-11-25T05:59:00Z", true],
    [{ from: "22:00", to: "06:00" }, "2026-11-25T06:00:00Z", false],
    // Over midnight it belongs to the day on which it began.
    [{ days: ["tue"], from: "22:00", to: "06:00" }, "2026-11-25T05:00:00Z", true],
    [{ days: ["wed"], from: "22:00", to: "06:00" }, "2026-11-25T05:00:00Z", false],
    [{ from: "09:00", to: "10:00", timeZone: "Europe/Zurich" }, "2026-11-25T08:30:00Z", true],
    [{ from: "09:00", to: "10:00", timeZone: "Europe/Zurich" }, "2026-07-25T08:30:00Z", false],
    [{ days: ["thu"], timeZone: "Asia/Tokyo" }, "2026-11-25T16:00:00Z", true],
  ])("%j holds %s: %s", (window, at, holds) => {
    expect(isInTimeWindow(window, Date.parse(at))).toBe(holds);
  });
});

describe("what a request needs", () => {
  const needs = (body: object): readonly string[] =>
    [...needsOf(openAiChat.toConversation(fakeChat({ ...body }), () => {}))].toSorted();
  const image = { type: "image_url", image_url: { url: "https://x.example/a.png" } };

  test("is read out of its meaning, whatever its wire", () => {
    expect(needs({})).toEqual([]);
    expect(
      needs({ tools: [{ type: "function", function: { name: "f" } }], reasoning_effort: "low" }),
    ).toEqual(["reasoning", "tools"]);
    expect(needs({ messages: [{ role: "user", content: [{ type: "text", text: "?" }, image] }] })).toEqual([
      "images",
    ]);
    const schema = { type: "json_schema", json_schema: { name: "n", schema: {} } };
    expect(needs({ response_format: schema, reasoning_effort: "none" })).toEqual(["json_schema"]);
  });
});
