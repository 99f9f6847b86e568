// The detective of the vendor's prompt cache through the pipeline, with the object's real store and a clock that a test moves.
import { describe, expect, test } from "vitest";
import { createPromptTurnsStore } from "../../../src/limits/object/prompt-turns-store.ts";
import type { PromptTurn } from "../../../src/targets/prompt-turns.ts";
import { createFakeGateway, spanNamed } from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";

const MINUTE = 60_000;

function createObject() {
  const rows = new Map<string, unknown>();
  const kv = {
    // The caller names the type of what it stored.
    get: <T>(name: string) => rows.get(name) as T | undefined,
    put: (name: string, value: unknown) => void rows.set(name, value),
    delete: (name: string) => rows.delete(name),
    list: () => rows.entries(),
  };
  // Of the whole interface the store needs these.
  return createPromptTurnsStore(kv as unknown as DurableObjectStorage["kv"]);
}

/** OpenAI reports what it read from its cache, and nothing of what it wrote. */
function answer(cachedTokens: number, promptTokens = 5000): Response {
  return Response.json({
    choices: [{ index: 0, message: { role: "assistant", content: "ok" }, finish_reason: "stop" }],
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: 2,
      total_tokens: promptTokens + 2,
      prompt_tokens_details: { cached_tokens: cachedTokens },
    },
  });
}

const FIRST = { role: "user", content: "one" };
const CHAT = { model: "a/m", messages: [FIRST] };
const SESSION = { "x-headgate-session": "s" };

interface Turn {
  readonly at: number;
  readonly cached: number;
  readonly chat?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly price?: undefined;
}

/** Plays turns against one object; gives the root and the span of the last one. */
async function play(turns: readonly Turn[]) {
  const object = createObject();
  let last;
  for (const [index, turn] of turns.entries()) {
    const noted: PromptTurn[] = [];
    const gateway = createFakeGateway({
      bundle: fakeBundle({ providers: { a: { kind: "openai" } } }),
      chat: { ...CHAT, ...turn.chat },
      headers: turn.headers ?? SESSION,
      requestId: `r${index}`,
      replies: [answer(turn.cached)],
      deps: {
        async notePrompt(note) {
          noted.push(note);
          return object.note(note, turn.at);
        },
        ...("price" in turn && { priceOf: () => undefined }),
      },
    });
    await gateway.generate();
    last = { trace: await gateway.finish(), facts: gateway.facts, noted };
  }
  if (last === undefined) throw new Error("no turns");
  return last;
}

describe("a session's cached share", () => {
  test("fell after OpenAI's ten minutes: the root says so, and what it cost", async () => {
    const { trace, facts } = await play([
      { at: 0, cached: 4500 },
      { at: 11 * MINUTE, cached: 0 },
    ]);
    const said = {
      "gateway.prompt_cache.share": 0,
      "gateway.prompt_cache.earlier_share": 0.9,
      "gateway.prompt_cache.cause": "expired",
      "gateway.prompt_cache.lost_tokens": 4500,
      "gateway.prompt_cache.idle_s": 660,
    };
    expect(trace.root.attributes).toMatchObject(said);
    expect(spanNamed(trace, "gateway.prompt_cache").attributes).toMatchObject(said);
    expect(facts.promptCache).toMatchObject({ cause: "expired", lostTokens: 4500 });
  });

  test("is said, and no cause, where it rose or stayed", async () => {
    const { trace } = await play([
      { at: 0, cached: 0 },
      { at: MINUTE, cached: 4500 },
      { at: 2 * MINUTE, cached: 4480 },
    ]);
    expect(trace.root.attributes["gateway.prompt_cache.share"]).toBe(0.896);
    expect(trace.root.attributes).not.toHaveProperty("gateway.prompt_cache.cause");
  });

  test("has a cause and no dollars where the model has no price", async () => {
    const { trace } = await play([
      { at: 0, cached: 4500 },
      { at: 1, cached: 0, price: undefined },
    ]);
    expect(trace.root.attributes["gateway.prompt_cache.cause"]).toBe("unknown");
    expect(trace.root.attributes).not.toHaveProperty("gateway.prompt_cache.wasted_usd");
  });

  test.each<[string, Partial<Turn>]>([
    ["another session", { headers: { "x-headgate-session": "t" } }],
    ["another conversation of the session", { chat: { messages: [{ role: "user", content: "other" }] } }],
  ])("is not compared with that of %s", async (_, fields) => {
    const { trace } = await play([
      { at: 0, cached: 4500 },
      { at: 1, cached: 0, ...fields },
    ]);
    expect(trace.root.attributes).not.toHaveProperty("gateway.prompt_cache.share");
  });

  test("is compared where `prompt_cache_key` names the session", async () => {
    const turn = { headers: {}, chat: { prompt_cache_key: "k" } };
    const { trace } = await play([
      { at: 0, cached: 4500, ...turn },
      { at: 1, cached: 0, ...turn },
    ]);
    expect(trace.root.attributes["gateway.prompt_cache.cause"]).toBe("unknown");
  });
});

test("without a session and a mark the object is not called, and no text ever reaches it", async () => {
  const { trace, noted } = await play([{ at: 0, cached: 4500, headers: {} }]);
  expect(noted).toEqual([]);
  expect(trace.spans.map(({ name }) => name)).not.toContain("gateway.prompt_cache");

  const secret = "canary-7f3a";
  const { noted: sent } = await play([
    {
      at: 0,
      cached: 1,
      headers: { "x-headgate-session": secret },
      chat: { messages: [{ role: "user", content: secret }] },
    },
  ]);
  expect(sent).toHaveLength(1);
  expect(JSON.stringify(sent)).not.toContain(secret);
});

test("an object that can't be reached leaves the answer and says so on the span", async () => {
  const gateway = createFakeGateway({
    bundle: fakeBundle({ providers: { a: { kind: "openai" } } }),
    chat: CHAT,
    headers: SESSION,
    replies: [answer(1)],
    deps: { notePrompt: () => Promise.reject(new Error("gone")) },
  });
  await gateway.generate();
  const span = spanNamed(await gateway.finish(), "gateway.prompt_cache");
  expect(span.attributes["error.type"]).toBe("queue_unreachable");
});
