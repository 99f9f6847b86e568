// Requests that the gateway refuses: the tree up to the refusal, and its explanation on it. Played by scenarios.test.ts.
import { expect } from "vitest";
import { spanOf } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { makeKey } from "../../support/clients/test-tenant.ts";
import {
  ALONE,
  CHAT,
  ENTRY,
  HELLO,
  PASSED,
  post,
  targets,
  type Scenario,
  type Sent,
  type ScenarioContext,
} from "./scenario.ts";

const PATH = "/v1/chat/completions";
/** The window in which refusals without a valid key leave one trace and one sum: src/telemetry/trace/refusal-trace-limiter.ts. */
const FLOOD_WINDOW_MS = 1100;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** After a window without any: so that this one leaves a trace of its own. */
async function sendUnknown(
  context: ScenarioContext,
  path: string,
  init: Parameters<ScenarioContext["send"]>[1],
) {
  await pause(FLOOD_WINDOW_MS);
  return context.spansOf(await context.send(path, init));
}

/** What the client got is what the trace says. */
function expectTold(spans: readonly FlatSpan[], { headers, text }: Pick<Sent, "headers" | "text">): void {
  const [root] = spans.filter(({ parentSpanId }) => parentSpanId === undefined);
  const retryMs = Number(root?.attributes["gateway.retry_after_ms"]);
  expect(Number(headers.get("retry-after-ms"))).toBe(retryMs);
  expect(Number(headers.get("retry-after"))).toBe(root?.attributes["gateway.limit.reset_s"]);
  expect(text).toContain(String(root?.attributes["gateway.decision"]));
  const value = Number(root?.attributes["gateway.limit.value"]);
  const isMoney = root?.attributes["gateway.limit.name"] === "budget";
  // The span counts in micro-dollars; people read dollars.
  const limit = isMoney ? `$${(value / 1_000_000).toFixed(2)} ` : `(${value}`;
  // A queue without places has no number worth saying.
  expect(text).toContain(value === 0 ? "No request can wait" : limit);
  expect(root?.attributes["gateway.limit.remaining"]).toBeTypeOf("number");
}

export const REFUSED: readonly Scenario[] = [
  {
    name: "no key",
    done: "A request without a gateway key: 401.",
    tree: [`${CHAT} rejected 401 decision=invalid_api_key`, "  auth result=invalid_api_key"],
    play: (context) => sendUnknown(context, PATH, post({ model: "m", messages: HELLO })),
  },
  {
    name: "revoked key",
    done: "A key that is well formed, and was revoked: 401.",
    tree: [`${CHAT} rejected 401 decision=invalid_api_key`, "  auth result=invalid_api_key"],
    async play(context) {
      const { id, keyId, key } = await context.tenant();
      await context.gateway.admin("DELETE", `/admin/tenants/${id}/keys/${keyId}`);
      return sendUnknown(context, PATH, { key, ...post({ model: "m", messages: HELLO }) });
    },
  },
  {
    name: "many unauthenticated refusals",
    done: "Twenty requests without a key within a second: the first leaves a trace, the others one span that counts them.",
    tree: ["refusals rejected count=19"],
    async play(context) {
      const sums = (): readonly FlatSpan[] =>
        context.stack.otlp.spans().filter(({ name }) => name === "gateway.refusals");
      await pause(FLOOD_WINDOW_MS);
      const before = sums().length;
      await Promise.all(Array.from({ length: 20 }, () => context.send(PATH, post({}))));
      await context.stack.otlp.waitUntil(() => sums().length > before);
      return sums().slice(before);
    },
  },
  {
    name: "tenant suspended",
    done: "A key whose tenant is suspended: 403.",
    tree: [`${CHAT} rejected 403 decision=tenant_suspended`, "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant({ record: { status: "suspended" } });
      return sendUnknown(context, PATH, { key, ...post({ model: "m", messages: HELLO }) });
    },
  },
  {
    name: "model not allowed",
    done: "A key that may not use the model: 403.",
    tree: [
      `${CHAT} rejected 403 decision=permission_denied`,
      "  auth",
      "  config.load",
      "  route decision=permission_denied",
    ],
    async play(context) {
      const { id } = await context.tenant();
      const bound = await makeKey(context.gateway, id, { allowedModels: ["other-*"] });
      return context.trace(bound, { model: `up/${context.model("m")}` });
    },
  },
  {
    name: "proxy not allowed",
    done: "A key with `allowedModels` calls `/proxy`: 403.",
    tree: [
      "GET /proxy/:provider/:path{.+} rejected 403 decision=permission_denied",
      "  auth",
      "  config.load",
    ],
    async play(context) {
      const { id } = await context.tenant();
      const { key } = await makeKey(context.gateway, id, { allowedModels: ["other-*"] });
      return context.spansOf(await context.send("/proxy/up/files", { key }));
    },
  },
  {
    name: "unknown model",
    done: "No route and no provider of that name: 404.",
    tree: [
      `${CHAT} rejected 404 decision=model_not_found`,
      "  auth",
      "  config.load",
      "  route decision=model_not_found",
    ],
    play: async (context) => context.trace(await context.tenant(), { model: "no-such-model" }),
  },
  {
    name: "unknown path",
    done: "A path that is not in the route table: 404.",
    tree: ["GET rejected 404 decision=not_found", "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant();
      return context.spansOf(await context.send("/v1/no-such-path", { key }));
    },
  },
  {
    name: "wrong method",
    done: "`DELETE` where only `POST` is: 405 with `allow`.",
    tree: ["DELETE rejected 405 decision=method_not_allowed", "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant();
      const sent = await context.send(PATH, { key, method: "DELETE" });
      expect(sent.headers.get("allow")).toBe("POST");
      return context.spansOf(sent);
    },
  },
  {
    name: "body too large",
    done: "More than the tenant's `limits.maxBodyBytes`: 413.",
    tree: [`${CHAT} rejected 413 decision=request_too_large`, "  auth", "  config.load"],
    async play(context) {
      const tenant = await context.tenant({ limits: { maxBodyBytes: 1000 } });
      return context.trace(tenant, { model: `up/${context.model("m")}`, prompt: "x".repeat(2000) });
    },
  },
  {
    name: "malformed body",
    done: "A body that is not JSON: 400.",
    tree: [`${CHAT} rejected 400 decision=invalid_request`, "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant();
      return context.spansOf(await context.send(PATH, { key, method: "POST", body: "{" }));
    },
  },
  {
    name: "untranslatable",
    done: "An Anthropic client's image by the id of a file has no counterpart at the target: 400, and the slot is released.",
    tree: [
      "POST /v1/messages rejected 400 decision=invalid_request",
      ...PASSED,
      "  chat m invalid_request left_for=give_up ERROR",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = `up/${context.model("m")}`;
      const image = { type: "image", source: { type: "file", file_id: "file_1" } };
      const body = { model, max_tokens: 9, messages: [{ role: "user", content: [image] }] };
      return context.spansOf(
        await context.send("/v1/messages", { key, ...post(body, { "anthropic-version": "2023-06-01" }) }),
      );
    },
  },
  {
    name: "rate limited",
    done: "The second request of a minute that has one, by a client that won't wait: 429.",
    tree: [
      `${CHAT} rejected 429 decision=rate_limited limit=requests_per_minute limit_value=1`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission decision=rate_limited limit=requests_per_minute limit_value=1 queue=refused",
      "    queue.wait queue=refused held_by=requests_per_minute position=1",
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { requestsPerMinute: 1 } });
      const ask = { model: `up/${context.model("m")}`, headers: { "x-headgate-max-wait-ms": "0" } };
      await context.ask(tenant, ask);
      const refused = await context.ask(tenant, ask);
      const spans = await context.spansOf(refused);
      expectTold(spans, refused);
      return spans;
    },
  },
  {
    name: "too many tokens",
    done: "A request that is larger than what the minute's tokens leave: 429.",
    tree: [
      `${CHAT} rejected 429 decision=rate_limited limit=tokens_per_minute limit_value=6000`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission decision=rate_limited limit=tokens_per_minute limit_value=6000 queue=refused",
      "    queue.wait queue=refused held_by=tokens_per_minute position=1",
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { tokensPerMinute: 6000 } });
      const headers = { "x-headgate-max-wait-ms": "0" };
      const ask = { model: `up/${context.model("m")}`, headers, body: { max_tokens: 800 } };
      await context.ask(tenant, ask);
      context.stack.upstream.script(ask.model.slice(3), { kind: "answer" });
      const spans = await context.trace(tenant, { ...ask, body: { max_tokens: 5000 } });
      return spans;
    },
  },
  {
    name: "queue full",
    done: "One slot, which is taken, and no place to wait: 429.",
    tree: [
      `${CHAT} rejected 429 decision=queue_full limit=queue_depth limit_value=0`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission decision=queue_full limit=queue_depth limit_value=0 queue=refused",
      "    queue.wait queue=refused held_by=concurrency position=1 →queued_behind",
    ],
    async play(context) {
      const tenant = await context.tenant({
        limits: { concurrency: 1, queue: { maxDepth: 0, maxWaitMs: 5000 } },
      });
      return meetHolder(context, tenant, {});
    },
  },
  {
    name: "waited too long",
    done: "One slot, and it does not come free within the client's `x-headgate-max-wait-ms`: 429.",
    tree: [
      `${CHAT} rejected 429 decision=rate_limited limit=concurrency limit_value=1 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission decision=rate_limited limit=concurrency limit_value=1 queue=refused",
      "    queue.wait queue=refused held_by=concurrency position=1 waited →queued_behind",
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 1 } });
      return meetHolder(context, tenant, { "x-headgate-max-wait-ms": "300" });
    },
  },
  {
    name: "budget spent",
    done: "The day's budget is used up: 429, with the time until midnight.",
    tree: [
      `${CHAT} rejected 429 decision=budget_exceeded limit=budget limit_value=10000`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission decision=budget_exceeded limit=budget limit_value=10000 queue=refused",
      "    queue.wait queue=refused",
    ],
    async play(context) {
      const tenant = await context.tenant({ record: { budget: { usd: 0.01, period: "day" } } });
      // A model with a price. The trace comes when the first one's usage is settled.
      const usage = { inputTokens: 1_000_000, outputTokens: 1000 };
      context.stack.upstream.script("gpt-4o-mini", { kind: "answer", usage });
      await context.trace(tenant, { model: "up/gpt-4o-mini" });
      const refused = await context.ask(tenant, { model: "up/gpt-4o-mini" });
      const spans = await context.spansOf(refused);
      expectTold(spans, refused);
      return spans;
    },
  },
  {
    name: "circuit open",
    done: "The only target has failed five times: 503 with `retry-after`, and it isn't called.",
    tree: [
      `${CHAT} upstream_error 503 decision=upstream_overloaded error=upstream_overloaded ERROR +circuit_open(circuit=open target=up/m)`,
      "  auth",
      "  config.load",
      "  route strategy=fallback reason='first in the route's order' rejected='up/m: circuit open for … s, asked again in … s, found by trace …'",
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait",
      "  usage.record",
    ],
    async play(context) {
      const dead = context.model("m", { kind: "error", status: 500 });
      const tenant = await context.tenant({
        routes: { r: { targets: targets(dead), retries: { maxAttempts: 5, baseDelayMs: 1 } } },
      });
      const found = await context.ask(tenant, { model: "r" });
      const spans = await context.trace(tenant, { model: "r" });
      const [open] = spanOf(spans, CHAT).events;
      expect(open?.attributes["gateway.circuit.found_by"]).toBe(found.traceId);
      return spans;
    },
  },
  {
    name: "cooldown",
    done: "The only target is on cooldown for longer than the request may take: 429 with the time left.",
    tree: [
      `${CHAT} upstream_error 429 decision=upstream_rate_limited +gate_closed(target=up/m error=target_closed)`,
      ...ALONE,
      "  usage.record",
    ],
    async play(context) {
      const limited = context.model("m", { kind: "error", status: 429, headers: { "retry-after": "60" } });
      const tenant = await context.tenant({
        routes: { r: { targets: targets(limited), timeouts: { totalMs: 5000 } } },
      });
      await context.ask(tenant, { model: "r" });
      return context.trace(tenant, { model: "r" });
    },
  },
];

/** A request beside one that holds the tenant's only slot. */
async function meetHolder(
  context: ScenarioContext,
  tenant: Parameters<ScenarioContext["ask"]>[0],
  headers: Readonly<Record<string, string>>,
): Promise<readonly FlatSpan[]> {
  const slow = context.model("slow", { kind: "answer", delayMs: 1000 });
  const holding = context.ask(tenant, { model: `up/${slow}` });
  await context.stack.upstream.waitForRequest(slow);
  const refused = await context.ask(tenant, { model: `up/${context.model("m")}`, headers });
  const spans = await context.spansOf(refused);
  expectTold(spans, refused);
  await context.spansOf(await holding);
  return spans;
}
