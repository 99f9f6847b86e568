// Two requests share a key only if they are equal in meaning and of the same tenant.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalText } from "../../../src/json/canonical.ts";
import { cacheKey, type CacheKeyInput } from "../../../src/cache/key.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { chatOf } from "../../support/fakes/fake-kv.ts";

const BODY = { model: "fast", messages: [{ role: "user", content: "Hi" }] };

const digestOf = async (input: Partial<CacheKeyInput> = {}): Promise<string> =>
  (await cacheKey({ tenantId: "acme", epoch: 1, planVersion: "p1", chat: chatOf(BODY), ...input })).digest;

const digestOfBody = (body: object): Promise<string> => digestOf({ chat: chatOf({ ...BODY, ...body }) });
const digestOfText = (text: string): Promise<string> => digestOf({ chat: openAiChat.parseRequest(text) });

describe("the key", () => {
  test("is a SHA-256 and carries its tenant", async () => {
    const key = await cacheKey({ tenantId: "acme", epoch: 1, planVersion: "p1", chat: chatOf(BODY) });
    expect(key.tenantId).toBe("acme");
    expect(key.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  test("never changes from one version of the code to the next unless it is meant to", async () => {
    expect(await digestOf()).toBe("81c4822357730060b06f0edd8f1346d9de229de605b125f12a45e97a92ee7f3a");
  });
});

describe("what does not matter", () => {
  test("order of members and white space, at any depth", async () => {
    const one = '{"model":"m","temperature":1,"messages":[{"role":"user","content":{"a":1,"b":[2]}}]}';
    const two =
      ' { "messages" : [ {"content":{"b":[2.0], "a":1e0},\n"role":"user"}],"temperature":1.0,"model":"\\u006d"}';
    expect(await digestOfText(one)).toBe(await digestOfText(two));
  });

  test.each([
    { stream: true },
    { stream: false },
    { stream_options: { include_usage: true } },
    { user: "u" },
    { metadata: { a: "b" } },
    { store: true },
    { safety_identifier: "s" },
    { prompt_cache_key: "k" },
  ])("%j", async (fields) => {
    expect(await digestOfBody(fields)).toBe(await digestOf());
  });

  test("whether the model was named or is the tenant's default", async () => {
    const { model: _, ...rest } = BODY;
    const unnamed = openAiChat.parseRequest(JSON.stringify(rest), { defaultModel: "fast" });
    expect(await digestOf({ chat: unnamed })).toBe(await digestOf());
  });
});

describe("what matters", () => {
  test.each([
    { tenantId: "acme2" },
    { epoch: 2 },
    { planVersion: "p2" },
    { planVersion: 1 },
    { passedHeaders: { "openai-beta": "x" } },
    { chat: chatOf({ ...BODY, model: "slow" }) },
  ])("%j", async (input) => {
    expect(await digestOf(input)).not.toBe(await digestOf());
  });

  test.each([
    { temperature: 0 },
    { seed: 1 },
    { n: 2 },
    { tools: [] },
    { a_new_parameter: null },
    { messages: [{ role: "user", content: "Hi " }] },
    { messages: [{ role: "system", content: "Hi" }] },
    { messages: [...BODY.messages, ...BODY.messages] },
    // Only top-level members are insignificant.
    { messages: [{ role: "user", content: "Hi", user: "u" }] },
  ])("%j", async (fields) => {
    expect(await digestOfBody(fields)).not.toBe(await digestOf());
  });

  test("integers that JavaScript can't tell apart", async () => {
    const withSeed = (seed: string): string => `{"model":"m","messages":[{"role":"user"}],"seed":${seed}}`;
    expect(await digestOfText(withSeed("9007199254740993"))).not.toBe(
      await digestOfText(withSeed("9007199254740992")),
    );
  });

  test("half surrogate pairs, which UTF-8 can't tell apart", async () => {
    expect(await digestOfBody({ x: "\ud800" })).not.toBe(await digestOfBody({ x: "\udbff" }));
    expect(await digestOfBody({ x: "\ud800" })).not.toBe(await digestOfBody({ x: "\ufffd" }));
  });

  test("where one string ends and the next begins", async () => {
    expect(await digestOf({ tenantId: "a", planVersion: "bc" })).not.toBe(
      await digestOf({ tenantId: "ab", planVersion: "c" }),
    );
    expect(await digestOfBody({ x: ["a", "b"] })).not.toBe(await digestOfBody({ x: ['a"1:b'] }));
  });
});

describe("bodies that are hard to walk", () => {
  /** Deeper than a client's body may be (src/bytes/json-bounds.ts): the key doesn't rely on that bound. */
  const digestOfDeep = (inside: string): Promise<string> => {
    const content = `${"[".repeat(50_000)}${inside}${"]".repeat(50_000)}`;
    const bodyText = `{"model":"m","messages":[{"role":"user","content":${content}}]}`;
    return digestOf({ chat: { ...chatOf(BODY), bodyText, body: JSON.parse(bodyText) } });
  };

  test("a very deep one has a key of its own, of its very text", async () => {
    expect(await digestOfDeep("1")).toBe(await digestOfDeep("1"));
    expect(await digestOfDeep("1")).not.toBe(await digestOfDeep("2"));
  });
});

describe("properties", () => {
  /** Members that the dialect has no opinion on. */
  const name = fc.string().map((text) => `x_${text}`);
  const fields = fc.dictionary(name, fc.jsonValue({ maxDepth: 4 }));
  const insignificant = fc.record(
    {
      stream: fc.boolean(),
      user: fc.string(),
      metadata: fc.dictionary(fc.string(), fc.string()),
      store: fc.boolean(),
    },
    { requiredKeys: [] },
  );

  /** The same JSON with the members of each object in another order, and white space between. */
  function shuffle(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(shuffle);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .toReversed()
        .map(([name, part]) => [name, shuffle(part)]),
    );
  }
  /** Members sorted, for comparing by text. */
  function sortedText(value: unknown): string {
    return JSON.stringify(value, (_, part: unknown) =>
      typeof part === "object" && part !== null && !Array.isArray(part)
        ? Object.fromEntries(Object.entries(part).toSorted(([left], [right]) => (left < right ? -1 : 1)))
        : part,
    );
  }

  test("equal in meaning: the same key", async () => {
    await fc.assert(
      fc.asyncProperty(fields, insignificant, insignificant, async (body, one, two) => {
        // Integers that lose digits make the key one of the very text: tested above.
        fc.pre(canonicalText(body) !== undefined);
        const left = JSON.stringify({ ...BODY, ...body, ...one });
        const right = JSON.stringify(shuffle({ ...body, ...two, ...BODY }), null, 2);
        expect(await digestOfText(left)).toBe(await digestOfText(right));
      }),
    );
  });

  test("different in meaning: another key", async () => {
    await fc.assert(
      fc.asyncProperty(fields, fields, async (one, two) => {
        const [left, right] = [
          sortedText(JSON.parse(JSON.stringify(one))),
          sortedText(JSON.parse(JSON.stringify(two))),
        ];
        fc.pre(left !== right);
        expect(await digestOfBody({ x: one })).not.toBe(await digestOfBody({ x: two }));
      }),
    );
  });

  test("a key that was made before, short or long, is made the same again", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 9000 }), async (content) => {
        const body = { messages: [{ role: "user", content }] };
        const made = await digestOfBody(body);
        expect(await digestOfBody(body)).toBe(made);
        expect(await digestOfBody({ ...body, seed: 1 })).not.toBe(made);
      }),
    );
  });

  test("another tenant: another key, whatever their names", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.string(), async (one, two) => {
        fc.pre(one !== two);
        expect(await digestOf({ tenantId: one })).not.toBe(await digestOf({ tenantId: two }));
      }),
    );
  });
});
