// Which requests are ever compared by meaning: those that differ in nothing but the wording of their last user text.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CacheKeyInput } from "../../../src/cache/key.ts";
import { cutLastUserText } from "../../../src/cache/last-user-text.ts";
import { semanticScope } from "../../../src/cache/semantic-scope.ts";
import { fakeChat } from "../../support/fakes/fake-tenant.ts";

const SETTINGS = { embedding: "sim/embed" };

interface Asked {
  readonly body?: Readonly<Record<string, unknown>>;
  readonly input?: Partial<CacheKeyInput>;
  readonly owner?: string;
  readonly settings?: { readonly embedding: string; readonly dimensions?: number };
}

async function scopeOf({
  body = {},
  input = {},
  settings = SETTINGS,
  owner = "key-1",
}: Asked): Promise<string> {
  const chat = fakeChat(body);
  const cut = cutLastUserText(chat);
  if (cut.text === undefined) throw new Error(cut.reason);
  const inputs = { tenantId: "acme", epoch: 1, planVersion: "p", chat, ...input };
  return semanticScope(inputs, cut.rest, settings, owner);
}

const ask = (content: string, ...before: readonly object[]): { readonly messages: readonly object[] } => ({
  messages: [...before, { role: "user", content }],
});

describe("the scope", () => {
  test("is the same for two wordings of the last user text, streamed or not", async () => {
    const one = await scopeOf({ body: ask("How tall is it?") });
    expect(await scopeOf({ body: { ...ask("What is its height?"), stream: true, user: "someone" } })).toBe(
      one,
    );
  });

  test.each<[string, Asked]>([
    ["tenant", { input: { tenantId: "other" } }],
    ["gateway key", { owner: "key-2" }],
    ["sharing among the tenant's keys", { owner: "" }],
    ["cache epoch", { input: { epoch: 2 } }],
    ["plan", { input: { planVersion: "q" } }],
    ["passed header", { input: { passedHeaders: { "openai-beta": "x" } } }],
    ["embedding model", { settings: { embedding: "sim/other" } }],
    ["number of dimensions", { settings: { ...SETTINGS, dimensions: 256 } }],
    ["model", { body: { ...ask("Hi"), model: "a/other" } }],
    ["system prompt", { body: ask("Hi", { role: "system", content: "Be rude." }) }],
    ["history", { body: ask("Hi", { role: "user", content: "Yo" }, { role: "assistant", content: "Yo" }) }],
    ["temperature", { body: { ...ask("Hi"), temperature: 0.1 } }],
    ["tool", { body: { ...ask("Hi"), tools: [{ type: "function", function: { name: "f" } }] } }],
    ["field that we don't know", { body: { ...ask("Hi"), future: 1 } }],
    ["form of the text", { body: { messages: [{ role: "user", content: [{ type: "text", text: "Hi" }] }] } }],
  ])("is another one for another %s", async (_, other) => {
    expect(await scopeOf({ body: ask("Hi"), ...other })).not.toBe(await scopeOf({ body: ask("Hi") }));
  });

  test("holds the text too where the body has numbers that JSON can't hold", async () => {
    const seed = (text: string) => scopeOf({ body: { ...ask(text), seed: 2 ** 60 } });
    expect(await seed("one")).not.toBe(await seed("other"));
    expect(await seed("one")).toBe(await seed("one"));
  });

  test("is shared by two conversations only where all turns but the last text are equal", async () => {
    const turn = fc.record({
      role: fc.constantFrom("user", "assistant", "system"),
      content: fc.string({ maxLength: 3 }),
    });
    const talk = fc.record({
      before: fc.array(turn, { maxLength: 3 }),
      text: fc.constantFrom("a", "b", "c d"),
    });
    await fc.assert(
      fc.asyncProperty(talk, talk, async (one, other) => {
        const scopes = await Promise.all(
          [one, other].map(({ before, text }) => scopeOf({ body: ask(text, ...before) })),
        );
        const isEqual = JSON.stringify(one.before) === JSON.stringify(other.before);
        expect(scopes[0] === scopes[1]).toBe(isEqual);
      }),
    );
  });
});
