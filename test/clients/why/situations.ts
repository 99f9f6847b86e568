// What is planted, one row each: played by planted.test.ts through HTTP, listed in src/docs/why.md.
import { setTimeout as pause } from "node:timers/promises";
import { post, type Ask } from "../../support/clients/chat-client.ts";
import { makeKey } from "../../support/clients/test-tenant.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import { answer, type Situation, USUAL_MS, waitedMs, type World } from "./world.ts";

/** Far above the noise of a busy machine. */
const MS = 600;

const slow = (fields: object = {}) => answer({ firstChunkDelayMs: USUAL_MS + MS, ...fields });
const targets = (...models: readonly string[]) => models.map((model) => ({ provider: "up", model }));
const viaRoute: NonNullable<Situation["usual"]> = () => ({ model: "r", stream: true });
const streamOf = (model: string): Ask => ({ model: `up/${model}`, stream: true });

/** Asks as usual while the model answers in another way. */
async function once(world: World, script: Script, ms?: number, ask: Ask = world.usual) {
  world.script(world.models.m, script);
  const { traceId } = await world.ask(ask);
  return { traceId, ...(ms !== undefined && { ms }) };
}

/** Fills the tenant's slots for a time, and gives what waits for them. */
async function hold(world: World, slots: number, ms: number, key?: string): Promise<() => Promise<unknown>> {
  const { other } = world.models;
  world.script(other, answer({ firstChunkDelayMs: ms }));
  const holding = Array.from({ length: slots }, () => world.ask(streamOf(other), key));
  await world.stack.upstream.waitForRequest(other, { nth: slots });
  return () => Promise.all(holding);
}

/** The time from the first call of a request to its last, as the upstream saw them. */
function betweenCalls({ stack, models }: World, before: number): number {
  const calls = [models.m, models.other]
    .flatMap((model) => stack.upstream.requestsFor(model))
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .slice(before);
  return (calls.at(-1)?.startedAt ?? 0) - (calls[0]?.startedAt ?? 0);
}

/** Tokens by the words of the prompt, of which each costs time unless it is cached. */
const byPrompt =
  (cachedShare: (words: number) => number): Script =>
  ({ json }) => {
    const words = JSON.stringify(json["messages"]).split(" ").length;
    const cachedTokens = Math.round(words * cachedShare(words));
    return answer({
      firstChunkDelayMs: USUAL_MS + (words - cachedTokens) / 10,
      usage: { inputTokens: words, outputTokens: 20, cachedTokens },
    });
  };
const promptOf = (words: number): string => Array.from({ length: words }, () => "w").join(" ");

/** A stream of as many words and tokens. */
const words = (count: number, paceMs: number): Script =>
  answer({
    text: Array.from({ length: count }, () => "w").join(" "),
    paceMs,
    usage: { inputTokens: 100, outputTokens: count },
  });

const at = (header: "azureml-model-session" | "x-ms-region", name: string) => ({
  headers: { [header]: name },
});

export const QUEUED: readonly Situation[] = [
  {
    name: "another key of the tenant holds all its slots",
    kind: "own_limit",
    says: /for one of .* 8 slots, all held by the key nightly-eval/,
    options: { limits: { concurrency: 8 } },
    async plant(world) {
      const { key } = await makeKey(world.stack.gateway, world.tenant.id, { name: "nightly-eval" });
      const held = await hold(world, 8, MS, key);
      const planted = await world.ask(world.usual);
      await held();
      return waitedMs(planted);
    },
  },
  {
    name: "the key's own limit, its slot held by itself",
    kind: "own_limit",
    says: /held by its own key/,
    async plant(world) {
      const { key } = await makeKey(world.stack.gateway, world.tenant.id, { limits: { concurrency: 1 } });
      const held = await hold(world, 1, MS, key);
      const planted = await world.ask(world.usual, key);
      await held();
      return waitedMs(planted);
    },
  },
  {
    name: "more requests than the limit of a minute",
    kind: "own_limit",
    says: /held by the limit of requests a minute/,
    options: { limits: { requestsPerMinute: 120, burst: 28 } },
    async plant(world) {
      const answers = await Promise.all(Array.from({ length: 18 }, () => world.ask(world.usual)));
      const longest = answers.toSorted((a, b) => queuedMs(b) - queuedMs(a))[0];
      return waitedMs(longest);
    },
  },
  {
    name: "in the batch lane, while interactive requests come",
    kind: "batch_lane",
    says: /in the batch lane: \d+ that came later went first/,
    options: { limits: { concurrency: 8 } },
    async plant(world) {
      const held = await hold(world, 8, MS / 2);
      const lane = { "x-headgate-priority": "batch" };
      const planted = world.ask({ ...world.usual, headers: lane });
      await pause(50);
      const later = Array.from({ length: 8 }, () => world.ask(streamOf(world.models.other)));
      await held();
      const answered = await planted;
      await Promise.all(later);
      return waitedMs(answered);
    },
  },
];

const queuedMs = ({ headers }: { readonly headers: Headers }): number =>
  Number(headers.get("x-headgate-queue-ms"));

const fallback: Situation["options"] = ({ m, other }) => ({
  routes: { r: { targets: targets(m, other), retries: { maxAttempts: 1 } } },
});

export const ATTEMPTS: readonly Situation[] = [
  {
    name: "a call fails and is made again",
    kind: "retry",
    options: ({ m }) => ({ routes: { r: { targets: targets(m), retries: { maxAttempts: 3 } } } }),
    usual: viaRoute,
    async plant(world) {
      const before = world.stack.upstream.requestsFor(world.models.m).length;
      const failing: Script = ({ earlier }) =>
        earlier === before ? { kind: "error", status: 500, delayMs: MS } : answer();
      const { traceId } = await once(world, failing);
      return { traceId, ms: betweenCalls(world, before) };
    },
  },
  {
    name: "a call fails twice: a storm of retries",
    kind: "retry",
    options: ({ m }) => ({ routes: { r: { targets: targets(m), retries: { maxAttempts: 4 } } } }),
    usual: viaRoute,
    async plant(world) {
      const before = world.stack.upstream.requestsFor(world.models.m).length;
      const failing: Script = ({ earlier }) =>
        earlier < before + 2 ? { kind: "error", status: 503, delayMs: MS / 2 } : answer();
      const { traceId } = await once(world, failing);
      return { traceId, ms: betweenCalls(world, before) };
    },
  },
  {
    name: "the vendor limits the rate, and the call is made again as its Retry-After says",
    kind: "retry",
    says: /rate limited by the vendor with 429/,
    options: ({ m }) => ({ routes: { r: { targets: targets(m), retries: { maxAttempts: 3 } } } }),
    usual: viaRoute,
    async plant(world) {
      const before = world.stack.upstream.requestsFor(world.models.m).length;
      const failing: Script = ({ earlier }) =>
        earlier === before ? { kind: "error", status: 429, headers: { "retry-after": "1" } } : answer();
      const { traceId } = await once(world, failing);
      return { traceId, ms: betweenCalls(world, before) };
    },
  },
  {
    name: "the first target is overloaded, the second answers",
    kind: "fallback",
    says: /overloaded with 529/,
    options: fallback,
    usual: viaRoute,
    plant: (world) => once(world, { kind: "error", status: 529, delayMs: MS }, MS),
  },
  {
    name: "the first target says nothing in time, the second answers",
    kind: "fallback",
    says: /no answer in time/,
    options: ({ m, other }) => ({
      routes: { r: { targets: targets(m, other), timeouts: { firstByteMs: 1000 } } },
    }),
    usual: viaRoute,
    plant: (world) => once(world, { kind: "hang" }, 1000),
  },
  {
    name: "the first target is slow, and a hedge answers",
    kind: "hedge",
    options: ({ m, other }) => ({ routes: { r: { targets: targets(m, other), hedge: { afterMs: MS } } } }),
    usual: viaRoute,
    plant: (world) => once(world, slow({ firstChunkDelayMs: 4 * MS }), MS),
  },
  {
    name: "the circuit of the usual target is open, and the next one is slower",
    kind: "circuit",
    options: fallback,
    usual: viaRoute,
    async plant(world) {
      world.script(world.models.m, { kind: "error", status: 500 });
      await Promise.all(Array.from({ length: 12 }, () => world.ask(world.usual)));
      world.script(world.models.other, slow());
      const { traceId } = await world.ask(world.usual);
      return { traceId, ms: MS };
    },
  },
  {
    name: "the usual target is cooling down after a 429, and the next one is slower",
    kind: "cooldown",
    options: fallback,
    usual: viaRoute,
    async plant(world) {
      world.script(world.models.m, { kind: "error", status: 429, headers: { "retry-after": "20" } });
      await world.ask(world.usual);
      world.script(world.models.other, slow());
      const { traceId } = await world.ask(world.usual);
      return { traceId, ms: MS };
    },
  },
];

export const UPSTREAM: readonly Situation[] = [
  {
    name: "the vendor is slow for all",
    kind: "upstream_for_all",
    async plant(world) {
      world.script(world.models.m, slow());
      const answers = await Promise.all(Array.from({ length: 6 }, () => world.ask(world.usual)));
      return { traceId: answers[3]?.traceId ?? "", ms: MS };
    },
  },
  {
    name: "the vendor is slow for one request, to its first token",
    kind: "upstream_here",
    plant: (world) => once(world, slow(), MS),
  },
  {
    name: "a whole answer is slow",
    kind: "upstream_here",
    script: answer({ delayMs: USUAL_MS }),
    usual: ({ m }) => ({ model: `up/${m}` }),
    plant: (world) => once(world, answer({ delayMs: USUAL_MS + MS }), MS),
  },
  {
    name: "the tokens of one answer come slowly",
    kind: "upstream_here",
    script: words(6, 20),
    plant: (world) => once(world, words(6, 140), 5 * 120),
  },
  {
    name: "the vendor's own queue, as it says itself",
    kind: "vendor_queue",
    script: answer({ delayMs: USUAL_MS }),
    usual: ({ m }) => ({ model: `up/${m}` }),
    plant: (world) => once(world, saysQueued(MS), MS),
  },
  {
    name: "a long prompt",
    kind: "long_prompt",
    script: byPrompt(() => 0),
    usual: ({ m }, index) => ({ ...streamOf(m), prompt: promptOf(index % 4 === 0 ? 2000 : 100) }),
    plant: (world) =>
      once(
        world,
        byPrompt(() => 0),
        MS,
        { ...world.usual, prompt: promptOf(6100) },
      ),
  },
  {
    name: "a cold prompt cache",
    kind: "cold_prompt_cache",
    // Some leave a part of the prompt to be read: from them comes what a token costs.
    script: byPrompt((count) => (count > 6000 ? 0.7 : 0.98)),
    usual: ({ m }, index) => ({ ...streamOf(m), prompt: promptOf(index % 4 === 0 ? 6100 : 6000) }),
    plant: (world) =>
      once(
        world,
        byPrompt(() => 0),
        588,
      ),
  },
  {
    name: "a long answer",
    kind: "long_answer",
    script: words(6, 20),
    plant: (world) => once(world, words(36, 20), MS),
  },
  {
    name: "the stream stands still",
    kind: "stalled_stream",
    plant: (world) => once(world, answer({ text: "one two", paceMs: 2300 }), 2300),
  },
  {
    name: "another replica than the requests around it",
    kind: "other_replica",
    script: answer(at("azureml-model-session", "r1")),
    plant: (world) => once(world, slow(at("azureml-model-session", "r2")), MS),
  },
  {
    name: "another region than the requests around it",
    kind: "other_region",
    script: answer(at("x-ms-region", "Sweden Central")),
    plant: (world) => once(world, slow(at("x-ms-region", "Japan East")), MS),
  },
  {
    name: "two at once on one replica",
    kind: "busy_replica",
    script: ({ earlier }) => answer(at("azureml-model-session", `r${earlier % 2}`)),
    async plant(world) {
      world.script(world.models.m, slow(at("azureml-model-session", "r7")));
      const [one] = await Promise.all([world.ask(world.usual), world.ask(world.usual)]);
      return { traceId: one.traceId, ms: MS };
    },
  },
];

/** A whole answer with vLLM's account of its time. */
function saysQueued(ms: number): Script {
  return async ({ model }) => {
    await pause(USUAL_MS + ms);
    const message = { role: "assistant", content: "Hello." };
    const usage = { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 };
    const metrics = { queue_time_ms: ms, time_to_first_token_ms: 50, generation_time_ms: 40 };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    const body = JSON.stringify({
      id: "c",
      object: "chat.completion",
      created: 1,
      model,
      choices,
      usage,
      metrics,
    });
    return { kind: "raw", body };
  };
}

const EMBEDDING = {
  kind: "raw",
  body: JSON.stringify({
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: [1, 0, 0] }],
    model: "e",
    usage: { prompt_tokens: 5, total_tokens: 5 },
  }),
} as const;

export const GATEWAY: readonly Situation[] = [
  {
    name: "the embedding for the semantic cache is slow",
    kind: "embedding",
    options: ({ m, other }) => ({
      cache: { enabled: true },
      routes: {
        r: { targets: targets(m), cache: { semantic: { embedding: `up/${other}`, threshold: 1 } } },
      },
    }),
    scripts: { other: EMBEDDING },
    usual: (_, index) => ({
      ...viaRoute({ m: "", other: "" }, 0),
      prompt: `Question ${index}?`,
      headers: { "x-headgate-cache": "refresh" },
    }),
    async plant(world) {
      world.script(world.models.other, async () => {
        await pause(MS);
        return EMBEDDING;
      });
      const { traceId } = await world.ask({ model: "r", stream: true, prompt: "Another question?" });
      return { traceId, ms: MS };
    },
  },
  {
    name: "an equal request is under way, and its answer is shared",
    kind: "shared_answer",
    options: { cache: { coalesce: true } },
    usual: ({ m }, index) => ({ ...streamOf(m), prompt: `Question ${index}?` }),
    async plant(world) {
      world.script(world.models.m, slow());
      const ask = { ...world.usual, prompt: "One question?" };
      const before = world.stack.upstream.requestsFor(world.models.m).length;
      const first = world.ask(ask);
      await world.stack.upstream.waitForRequest(world.models.m, { nth: before + 1 });
      const { traceId } = await world.ask(ask);
      await first;
      return { traceId, ms: USUAL_MS + MS };
    },
  },
];

const refusal = (name: string, says: RegExp, situation: Omit<Situation, "name" | "kind">): Situation => ({
  name,
  kind: "refused",
  says,
  ...situation,
});

export const ENDED: readonly Situation[] = [
  refusal("a request over the limit of a minute that may not wait", /requests a minute/, {
    options: { limits: { requestsPerMinute: 60, burst: 28 } },
    async plant(world) {
      const ask = { ...world.usual, headers: { "x-headgate-max-wait-ms": "0" } };
      const answers = await Promise.all(Array.from({ length: 14 }, () => world.ask(ask)));
      return { traceId: answers.find(({ status }) => status === 429)?.traceId ?? "" };
    },
  }),
  refusal("a model that no route has", /no such model or route/, {
    plant: async (world) => ({ traceId: (await world.ask({ model: "nothing" })).traceId }),
  }),
  {
    name: "the vendor fails, and there is no other target",
    kind: "upstream_failed",
    says: /^Failed: up\/\S+ refused the request/,
    plant: (world) => once(world, { kind: "error", status: 400 }),
  },
  {
    name: "the vendor's stream breaks off",
    kind: "upstream_failed",
    says: /broke off/,
    plant: (world) => once(world, answer({ end: "cut", endAfterChunks: 2 })),
  },
  {
    name: "the client leaves",
    kind: "client_left",
    says: /client left/,
    async plant(world) {
      world.script(world.models.m, answer({ text: "one two three four five six", paceMs: 300 }));
      const leaving = new AbortController();
      const response = await post(world.stack.gateway.url, world.tenant.key, {
        ...world.usual,
        signal: leaving.signal,
      });
      await response.body?.getReader().read();
      leaving.abort();
      return { traceId: response.headers.get("x-trace-id") ?? "" };
    },
  },
];

export const SITUATIONS = [...QUEUED, ...ATTEMPTS, ...UPSTREAM, ...GATEWAY, ...ENDED];
