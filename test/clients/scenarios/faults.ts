// What an upstream can do wrong, and what then happens: retry, fallback, hedge, an error told in mid-stream. Played by scenarios.test.ts.
import { expect } from "vitest";
import { spanOf } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import type { Script } from "../../support/servers/scripted-upstream.ts";
import type { TestTenant } from "../../support/clients/test-tenant.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";
import {
  ALONE,
  CHAT,
  FIRST_OF_TWO,
  PASSED,
  ESTIMATED,
  SETTLED,
  targets,
  type Scenario,
  type ScenarioContext,
} from "./scenario.ts";

const error = (status: number, headers: Readonly<Record<string, string>> = {}): Reply => ({
  kind: "error",
  status,
  headers,
});
/** So, and then as it should be. */
const once =
  (first: Reply): Script =>
  ({ earlier }) =>
    earlier === 0 ? first : { kind: "answer" };

interface Playing {
  readonly route?: Readonly<Record<string, unknown>>;
  readonly stream?: boolean;
}

/** Asks a route whose only target does that, once unless the route says otherwise. */
async function alone(context: ScenarioContext, script: Script, { route = {}, stream = false }: Playing = {}) {
  const r = { targets: targets(context.model("m", script)), retries: { maxAttempts: 1 }, ...route };
  return context.trace(await context.tenant({ routes: { r } }), { model: "r", stream });
}

/** The same with a sound second target. */
async function withSecond(
  context: ScenarioContext,
  script: Script,
  { route = {}, stream = false }: Playing = {},
) {
  const both = targets(context.model("m1", script), context.model("m2"));
  const r = { targets: both, retries: { maxAttempts: 1 }, ...route };
  return context.trace(await context.tenant({ routes: { r } }), { model: "r", stream });
}

/** So few slots that an isolate gets none in advance, however fast the requests come. */
const NO_BATCHES = { concurrency: 4 };
/** An isolate tells its news by itself within a second. */
const TOLD_MS = 5000;
/** So late after a moment that each clock has passed it. */
const CLOCK_GRAIN_MS = 250;
const sleepUntil = (at: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, at - Date.now()));

/** What the tenant's operator sees of a target's circuit. */
async function circuitOf({ gateway }: ScenarioContext, { id }: TestTenant, model: string) {
  const response = await gateway.admin("GET", `/admin/tenants/${id}/health`);
  const { items } = await response.json<{ items: readonly Readonly<Record<string, unknown>>[] }>();
  return items.find(({ target }) => target === `up/${model}`) ?? {};
}

const RETRY = { retries: { maxAttempts: 2, baseDelayMs: 10 } };
const TEXT = { kind: "answer", text: "one two three four" } as const;

export const FAULTS: readonly Scenario[] = [
  {
    name: "rejected by the upstream",
    done: "The upstream answers 400: the caller's fault, so no other target is called.",
    tree: [
      `${CHAT} upstream_error 400 decision=upstream_rejected`,
      ...FIRST_OF_TWO,
      "  chat m1 400 upstream_rejected left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) => withSecond(context, error(400)),
  },
  {
    name: "credential refused",
    done: "401 to our credential, and no other target: 502 to the client.",
    tree: [
      `${CHAT} upstream_error 502 decision=upstream_auth error=upstream_auth ERROR`,
      ...ALONE,
      "  chat m 401 upstream_auth left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) => alone(context, error(401)),
  },
  {
    name: "upstream limited, then retried",
    done: "429 with `retry-after-ms`, which is waited for; the second try is answered.",
    tree: [
      `${CHAT} ok 200 +retry(429 error=upstream_rate_limited)`,
      ...ALONE,
      "  chat m 429 upstream_rate_limited left_for=retry retry_after_s=1 ERROR",
      "  chat m 200 reason=retry ok",
      ...SETTLED,
    ],
    async play(context) {
      const spans = await alone(context, once(error(429, { "retry-after-ms": "300" })), { route: RETRY });
      const [first, second] = spans.filter(({ name }) => name.startsWith("chat "));
      const pauseNs = BigInt(second?.startTimeUnixNano ?? 0) - BigInt(first?.endTimeUnixNano ?? 0);
      expect(Number(pauseNs) / 1e6).toBeGreaterThanOrEqual(250);
      expect(second?.attributes["http.request.resend_count"]).toBe(1);
      return spans;
    },
  },
  {
    name: "upstream limited for a second",
    done: "429 with `retry-after: 1`: the request gives its slot back while it waits, and is admitted a second time.",
    tree: [
      `${CHAT} ok 200 +retry(429 error=upstream_rate_limited)`,
      ...ALONE,
      "  chat m 429 upstream_rate_limited left_for=retry retry_after_s=1 ERROR",
      "  admission number=2",
      "    queue.wait",
      "  chat m 200 reason=retry ok",
      ...SETTLED,
    ],
    play: (context) => alone(context, once(error(429, { "retry-after": "1" })), { route: RETRY }),
  },
  {
    name: "upstream limited for a minute",
    done: "429 with `retry-after: 60`: too long to wait, so the next target is called.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(429 target=up/m2 error=upstream_rate_limited)`,
      ...FIRST_OF_TWO,
      "  chat m1 429 upstream_rate_limited left_for=fallback retry_after_s=60 ERROR",
      "  chat m2 200 reason=fallback ok",
      ...SETTLED,
    ],
    play: (context) =>
      withSecond(context, error(429, { "retry-after": "60" }), {
        route: { ...RETRY, timeouts: { totalMs: 9000 } },
      }),
  },
  {
    name: "upstream error, then retried",
    done: "500, and at the second try an answer.",
    tree: [
      `${CHAT} ok 200 +retry(500 error=upstream_error)`,
      ...ALONE,
      "  chat m 500 upstream_error left_for=retry ERROR",
      "  chat m 200 reason=retry ok",
      ...SETTLED,
    ],
    play: (context) => alone(context, once(error(500)), { route: RETRY }),
  },
  {
    name: "upstream error to the end",
    done: "500 at each of two tries, and no other target: 502.",
    tree: [
      `${CHAT} upstream_error 502 decision=upstream_error error=upstream_error ERROR +retry(500 error=upstream_error)`,
      ...ALONE,
      "  chat m 500 upstream_error left_for=retry ERROR",
      "  chat m 500 reason=retry upstream_error left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) => alone(context, error(500), { route: RETRY }),
  },
  {
    name: "overloaded, then fallback",
    done: "503; the second target answers.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(503 target=up/m2 error=upstream_overloaded)`,
      ...FIRST_OF_TWO,
      "  chat m1 503 upstream_overloaded left_for=fallback ERROR",
      "  chat m2 200 reason=fallback ok",
      ...SETTLED,
    ],
    play: (context) => withSecond(context, error(503)),
  },
  {
    name: "overloaded, no other",
    done: "529, as Anthropic says it, and no other target: 503 to an OpenAI client.",
    tree: [
      `${CHAT} upstream_error 503 decision=upstream_overloaded error=upstream_overloaded ERROR`,
      ...ALONE,
      "  chat m 529 upstream_overloaded left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) => alone(context, error(529)),
  },
  {
    name: "malformed answer",
    done: "A body that is not an answer; the second target answers.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(target=up/m2 error=upstream_malformed)`,
      ...FIRST_OF_TWO,
      "  chat m1 upstream_malformed left_for=fallback usage=estimate ERROR",
      "  chat m2 200 reason=fallback ok",
      ...ESTIMATED,
    ],
    play: (context) => withSecond(context, { kind: "raw", body: "<html>" }),
  },
  {
    name: "no first byte",
    done: "Nothing within the route's `timeouts.firstByteMs`; the second target answers.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(target=up/m2 error=upstream_timeout)`,
      ...FIRST_OF_TWO,
      "  chat m1 upstream_timeout left_for=fallback timeout=first_byte usage=estimate ERROR",
      "  chat m2 200 reason=fallback ok",
      ...ESTIMATED,
    ],
    play: (context) => withSecond(context, { kind: "hang" }, { route: { timeouts: { firstByteMs: 200 } } }),
  },
  {
    name: "no time left",
    done: "Nothing within `timeouts.totalMs`: 504.",
    tree: [
      `${CHAT} upstream_error 504 decision=upstream_timeout error=upstream_timeout ERROR`,
      ...ALONE,
      "  chat m upstream_timeout left_for=give_up timeout=total usage=estimate ERROR",
      ...ESTIMATED,
    ],
    play: (context) => alone(context, { kind: "hang" }, { route: { timeouts: { totalMs: 300 } } }),
  },
  {
    name: "connection reset",
    done: "The upstream breaks the connection before it has answered: 502.",
    tree: [
      `${CHAT} upstream_error 502 decision=upstream_error error=upstream_error ERROR`,
      ...ALONE,
      "  chat m upstream_error left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) =>
      alone(context, () => {
        // The scripted upstream destroys the connection of a script that throws.
        throw new Error("reset");
      }),
  },
  {
    name: "stream without an event",
    done: "A stream that ends before it has begun counts as no answer: the second target streams.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(target=up/m2 error=upstream_malformed)`,
      ...FIRST_OF_TWO,
      "  chat m1 upstream_malformed left_for=fallback usage=estimate ERROR",
      "  chat m2 200 reason=fallback ok +stream.first_chunk",
      ...ESTIMATED,
    ],
    play: (context) =>
      withSecond(context, { kind: "raw", body: "", contentType: "text/event-stream" }, { stream: true }),
  },
  {
    name: "stream falls silent",
    done: "No byte for `timeouts.idleMs` in mid-stream: the client gets an error event.",
    tree: [
      `${CHAT} upstream_error 200 stream=stalled error=upstream_timeout ERROR`,
      ...ALONE,
      "  chat m 200 upstream_timeout timeout=idle stream=stalled finish=error usage=estimate ERROR +stream.first_chunk +stream.stall",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const script = { ...TEXT, end: "stall", endAfterChunks: 2 } as const;
      const spans = await alone(context, script, { stream: true, route: { timeouts: { idleMs: 400 } } });
      const [, stall] = spans.flatMap(({ events }) => events);
      expect(Number(stall?.attributes["gateway.stream.max_gap_ms"])).toBeGreaterThanOrEqual(300);
      return spans;
    },
  },
  {
    name: "stream cut",
    done: "The upstream's connection breaks in mid-stream: an error event, no fallback after the first byte.",
    tree: [
      `${CHAT} upstream_error 200 stream=cut error=upstream_error ERROR`,
      ...FIRST_OF_TWO,
      "  chat m1 200 upstream_error stream=cut finish=error usage=estimate ERROR +stream.first_chunk",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    play: (context) => withSecond(context, { ...TEXT, end: "cut", endAfterChunks: 2 }, { stream: true }),
  },
  {
    name: "stream with an error in it",
    done: "The upstream sends an error in mid-stream, which is passed on to the client.",
    tree: [
      `${CHAT} upstream_error 200 stream=upstream_error error=upstream_error ERROR`,
      ...ALONE,
      "  chat m 200 upstream_error stream=upstream_error finish=error usage=estimate ERROR +stream.first_chunk",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    play: (context) => alone(context, { ...TEXT, end: "error-event", endAfterChunks: 2 }, { stream: true }),
  },
  {
    name: "translated stream cut",
    done: "The same for a client of another wire.",
    tree: [
      "POST /v1/messages upstream_error 200 stream=cut error=upstream_error ERROR",
      ...PASSED,
      "  chat m 200 upstream_error stream=cut finish=error usage=estimate ERROR +stream.first_chunk",
      "  response.format client=anthropic-messages upstream=openai-chat",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = `up/${context.model("m", { ...TEXT, end: "cut", endAfterChunks: 2 })}`;
      const messages = [{ role: "user", content: "Hello?" }];
      const sent = await context.send("/v1/messages", {
        key,
        method: "POST",
        headers: { "anthropic-version": "2023-06-01" },
        body: JSON.stringify({ model, max_tokens: 9, stream: true, messages }),
      });
      expect(sent.text).toContain("event: error");
      return context.spansOf(sent);
    },
  },
  {
    name: "circuit open, fallback",
    done: "The first target has failed five times: it is passed over from the start.",
    tree: [
      `${CHAT} ok 200`,
      "  auth",
      "  config.load",
      "  route strategy=fallback reason='first in the route's order' rejected='up/m1: circuit open for … s, asked again in … s, found by trace …'",
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait",
      "  chat m2 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const both = targets(context.model("m1", error(500)), context.model("m2"));
      const tenant = await context.tenant({
        limits: NO_BATCHES,
        routes: { r: { targets: both, retries: { maxAttempts: 1 } } },
      });
      let found = "";
      for (let asked = 0; asked < 5; asked += 1) found = (await context.ask(tenant, { model: "r" })).traceId;
      const spans = await context.trace(tenant, { model: "r" });
      const rejected = spanOf(spans, "gateway.route").attributes["gateway.route.rejected"];
      expect(String(rejected)).toContain(`found by trace ${found}`);
      return spans;
    },
  },
  {
    name: "circuit half-open",
    done: "Ten seconds after a target's circuit has opened one request may try it: it is answered, and the circuit is closed.",
    tree: [
      `${CHAT} ok 200`,
      "  auth",
      "  config.load",
      "  route strategy=fallback reason='first in the route's order; its circuit is half-open' rejected='up/m2: later in the order'",
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait",
      "  chat m1 200 ok circuit=half_open",
      ...SETTLED,
    ],
    async play(context) {
      const model = context.model("m1", error(500));
      const r = { targets: targets(model, context.model("m2")), retries: { maxAttempts: 1 } };
      const tenant = await context.tenant({ limits: NO_BATCHES, routes: { r } });
      for (let asked = 0; asked < 5; asked += 1) await context.ask(tenant, { model: "r" });
      const circuit = () => circuitOf(context, tenant, model);
      const soon = { interval: 50, timeout: TOLD_MS };
      await expect.poll(circuit, soon).toMatchObject({ circuit: "open" });
      const { openUntil } = await circuit();
      context.stack.upstream.script(model, { kind: "answer" });
      await sleepUntil(Date.parse(String(openUntil)) + CLOCK_GRAIN_MS);
      const spans = await context.trace(tenant, { model: "r" });
      await expect.poll(circuit, soon).toMatchObject({ circuit: "closed" });
      const after = await context.trace(tenant, { model: "r" });
      expect(spanOf(after, `chat ${model}`).attributes).not.toHaveProperty("gateway.circuit.state");
      return spans;
    },
  },
  {
    name: "cooldown, fallback",
    done: "The first target is on cooldown after a `Retry-After`.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(target=up/m2 error=target_closed)`,
      ...FIRST_OF_TWO,
      "  chat m2 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const both = targets(context.model("m1", error(429, { "retry-after": "30" })), context.model("m2"));
      const tenant = await context.tenant({ routes: { r: { targets: both, retries: { maxAttempts: 1 } } } });
      await context.ask(tenant, { model: "r" });
      return context.trace(tenant, { model: "r" });
    },
  },
  {
    name: "cooldown, waited for",
    done: "The only target is on cooldown for a second: the request waits, and is answered.",
    tree: [`${CHAT} ok 200 +retry(error=target_closed)`, ...ALONE, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const model = context.model("m", once(error(429, { "retry-after": "1" })));
      const r = { targets: targets(model), retries: { maxAttempts: 1 } };
      const tenant = await context.tenant({ routes: { r } });
      await context.ask(tenant, { model: "r" });
      return context.trace(tenant, { model: "r" });
    },
  },
  {
    name: "hedged",
    done: "The first target takes long; after 100 ms the second is called too and answers first.",
    tree: [
      `${CHAT} ok 200 fallback=true +hedge(target=up/fast after_ms=100)`,
      "  auth",
      "  config.load",
      "  route strategy=fallback reason='first in the route's order' rejected='up/fast: later in the order'",
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait",
      "  chat slow hedge_lost left_for=hedge usage=estimate",
      "  chat fast 200 reason=hedge ok",
      ...ESTIMATED,
    ],
    async play(context) {
      // A model with a price, so that what the lost call cost is on the root.
      context.aliases.set("gpt-4.1-nano", "slow");
      context.stack.upstream.script("gpt-4.1-nano", { kind: "answer", delayMs: 3000 });
      const r = { targets: targets("gpt-4.1-nano", context.model("fast")), hedge: { afterMs: 100 } };
      const tenant = await context.tenant({ routes: { r } });
      const spans = await context.trace(tenant, { model: "r", prompt: "word ".repeat(400) });
      expect(spanOf(spans, CHAT).attributes["gateway.hedge.cost_usd"]).toBeGreaterThan(0);
      return spans;
    },
  },
  {
    name: "retries used up",
    done: "So many requests fail that the retry budget refuses a further retry.",
    tree: [
      `${CHAT} upstream_error 429 decision=upstream_rate_limited`,
      ...ALONE,
      "  chat m 429 upstream_rate_limited left_for=give_up retry_refused=budget retry_after_s=1 ERROR",
      "  usage.record",
    ],
    async play(context) {
      // A limit is no defect: no circuit opens.
      const model = context.model("m", error(429, { "retry-after-ms": "1" }));
      const r = { targets: targets(model), retries: { maxAttempts: 2, baseDelayMs: 1 } };
      const tenant = await context.tenant({ limits: NO_BATCHES, routes: { r } });
      let spans: readonly FlatSpan[] = [];
      const isRefused = (): boolean =>
        spans.some(({ attributes }) => attributes["gateway.retry.refused"] !== undefined);
      for (let asked = 0; asked < 40 && !isRefused(); asked += 1)
        spans = await context.trace(tenant, { model: "r" });
      return spans;
    },
  },
];
