// Whose trace a request belongs to, who gets it, and how much of it. Played by scenarios.test.ts.
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { rootOf, spanOf } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import type { TestTenant } from "../../support/clients/test-tenant.ts";
import { splitRequests } from "../../support/checkers/trace-invariants.ts";
import {
  CHAT,
  ENTRY,
  FIRST_OF_TWO,
  PASSED,
  SETTLED,
  targets,
  type Scenario,
  type ScenarioContext,
} from "./scenario.ts";

const CALLER = "00f067aa0ba902b7";
const newTraceId = (): string => randomUUID().replaceAll("-", "");
const traceparent = (traceId: string): Readonly<Record<string, string>> => ({
  traceparent: `00-${traceId}-${CALLER}-01`,
});

/** A tenant with a destination of its own; `tracing` is the rest of its settings. */
function withOwn(
  context: ScenarioContext,
  tracing: object = {},
  destination: object = {},
  options: object = {},
): Promise<TestTenant> {
  const destinations = [{ name: "own", endpoint: context.own.url, ...destination }];
  return context.tenant({ record: { tracing: { destinations, ...tracing } }, ...options });
}

/** What such a tenant gets of a request that its ratio leaves out. */
async function sampled(
  context: ScenarioContext,
  options: object,
  play: (tenant: TestTenant) => Promise<{ readonly traceId: string }>,
) {
  const tenant = await withOwn(context, { sampleRatio: 0 }, {}, options);
  const { traceId } = await play(tenant);
  return context.own.waitForTrace(traceId);
}

const SECRETS = ["ada@engine.example", "4111 1111 1111 1111"];
const CONTENT = [
  "gen_ai.system_instructions",
  "gen_ai.input.messages",
  "gen_ai.output.messages",
  "gen_ai.tool.definitions",
];

/** A talk whose every part holds secrets, to a tenant and a destination with that content mode. */
async function talk(context: ScenarioContext, mode: string) {
  const canary = `canary-${randomUUID()}`;
  const said = `${canary} ${SECRETS.join(" ")}`;
  const tenant = await withOwn(context, { content: mode }, { content: mode });
  const model = context.model("m", { kind: "answer", text: said });
  const tools = [{ type: "function", function: { name: "look", description: said, parameters: {} } }];
  const messages = [
    { role: "system", content: said },
    { role: "user", content: said },
  ];
  const { traceId } = await context.ask(tenant, { model: `up/${model}`, body: { messages, tools } });
  const spans = await context.own.waitForTrace(traceId);
  await context.spansOf({ traceId });
  expect(context.stack.otlp.allText()).not.toContain(canary);
  const { attributes } = spanOf(spans, `chat ${model}`);
  return { spans, canary, texts: CONTENT.map((name) => attributes[name]) };
}

export const IDENTITY: readonly Scenario[] = [
  {
    name: "remote parent, at the operator's",
    done: "A `traceparent` comes with the request: same trace id; the caller's span is a link, or the trace would miss its root here.",
    tree: [`${CHAT} ok 200 →client_parent`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const traceId = newTraceId();
      const spans = await context.trace(await withOwn(context), {
        model: `up/${context.model("m")}`,
        headers: traceparent(traceId),
      });
      expect(rootOf(spans)).toMatchObject({ traceId, links: [{ traceId, spanId: CALLER }] });
      return spans;
    },
  },
  {
    name: "remote parent, at the tenant's",
    done: "The same request at the tenant's own destination, where the caller's half may be: the caller's span is the parent.",
    tree: [`${CHAT} ok 200 ←remote_parent`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const traceId = newTraceId();
      await context.ask(await withOwn(context), {
        model: `up/${context.model("m")}`,
        headers: traceparent(traceId),
      });
      const spans = await context.own.waitForTrace(traceId);
      expect(spanOf(spans, CHAT)).toMatchObject({ traceId, parentSpanId: CALLER, links: [] });
      return spans;
    },
  },
  {
    name: "invalid traceparent",
    done: "An invalid `traceparent`: a trace of its own, as without any.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const traceId = newTraceId();
      const headers = { traceparent: `00-${traceId}-${"0".repeat(16)}-01` };
      const answer = await context.ask(await context.tenant(), {
        model: `up/${context.model("m")}`,
        headers,
      });
      expect(answer.traceId).toMatch(/^[0-9a-f]{32}$/);
      expect(answer.traceId).not.toBe(traceId);
      return context.spansOf(answer);
    },
  },
  {
    name: "overlapping requests of one trace",
    done: "Four requests at once under one `traceparent`, one of them refused: each keeps its own spans.",
    tree: [`${CHAT} ok 200 →client_parent`, ...PASSED, "  chat slow 200 ok", ...SETTLED],
    async play(context) {
      const traceId = newTraceId();
      const { otlp, upstream } = context.stack;
      const tenant = await withOwn(context);
      const slow = context.model("slow", { kind: "answer", delayMs: 400 });
      const headers = traceparent(traceId);
      const asked = context.ask(tenant, { model: `up/${slow}`, headers });
      await upstream.waitForRequest(slow);
      const quick = [1, 2].map((n) =>
        context.ask(tenant, { model: `up/${context.model(`m${n}`)}`, headers }),
      );
      await Promise.all([asked, ...quick, context.ask(tenant, { model: "no-such-model", headers })]);
      for (const receiver of [otlp, context.own])
        await receiver.waitUntil(
          () => receiver.spansOf(traceId).filter(({ name }) => name === CHAT).length === 4,
        );
      const requests = splitRequests(otlp.spansOf(traceId));
      expect(requests.map(({ length }) => length).toSorted((one, other) => one - other)).toEqual([
        4, 10, 10, 10,
      ]);
      const own = context.own.spansOf(traceId);
      expect(own.filter(({ parentSpanId }) => parentSpanId === CALLER)).toHaveLength(4);
      expect(own).toHaveLength(34);
      return requests.find((spans) => spans.some(({ name }) => name === `chat ${slow}`)) ?? [];
    },
  },
  {
    name: "sampled out",
    done: "A tenant with `sampleRatio: 0`: its destination and its store get nothing, the operator everything.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const tenant = await withOwn(context, { sampleRatio: 0 });
      const answer = await context.ask(tenant, { model: `up/${context.model("m")}` });
      const spans = await context.spansOf(answer);
      // The same flush brings what the tenant gets; a later request of another tenant there shows that it has passed.
      const later = await context.ask(await withOwn(context), { model: `up/${context.model("m")}` });
      await context.own.waitForTrace(later.traceId);
      expect(context.own.spansOf(answer.traceId)).toEqual([]);
      expect((await context.gateway.admin("GET", `/admin/traces/${answer.traceId}`)).status).toBe(404);
      return spans;
    },
  },
  {
    name: "sampled out, but failed",
    done: "The same tenant; the upstream fails: kept.",
    tree: [
      `${CHAT} upstream_error 400 decision=upstream_rejected`,
      ...PASSED,
      "  chat m 400 upstream_rejected left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) => {
      const model = context.model("m", { kind: "error", status: 400 });
      return sampled(context, {}, (tenant) => context.ask(tenant, { model: `up/${model}` }));
    },
  },
  {
    name: "sampled out, but queued",
    done: "The same tenant; the request had to wait: kept.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=requests_per_minute position=1 waited",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    play: (context) =>
      sampled(context, { limits: { requestsPerMinute: 240, burst: 1 } }, async (tenant) => {
        const ask = { model: `up/${context.model("m")}` };
        await context.ask(tenant, ask);
        return context.ask(tenant, ask);
      }),
  },
  {
    name: "sampled out, but fell back",
    done: "The same tenant; another target answered: kept.",
    tree: [
      `${CHAT} ok 200 fallback=true +fallback(503 target=up/m2 error=upstream_overloaded)`,
      ...FIRST_OF_TWO,
      "  chat m1 503 upstream_overloaded left_for=fallback ERROR",
      "  chat m2 200 reason=fallback ok",
      ...SETTLED,
    ],
    play: (context) => {
      const models = targets(context.model("m1", { kind: "error", status: 503 }), context.model("m2"));
      const r = { targets: models, retries: { maxAttempts: 1 } };
      return sampled(context, { routes: { r } }, (tenant) => context.ask(tenant, { model: "r" }));
    },
  },
  {
    name: "content off",
    done: "Content is off: neither prompt nor answer is sent to any destination.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok", ...SETTLED],
    async play(context) {
      const { spans, canary, texts } = await talk(context, "off");
      expect(texts).toEqual(CONTENT.map(() => undefined));
      expect(context.own.allText()).not.toContain(canary);
      return spans;
    },
  },
  {
    name: "content redacted",
    done: "Tenant and destination have it `redacted`: the text without addresses and card numbers. The operator gets none.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok content×4", ...SETTLED],
    gets: ["content"],
    async play(context) {
      const { spans, canary, texts } = await talk(context, "redacted");
      for (const text of texts) {
        expect(text).toContain(canary);
        expect(text).toContain("[email] [card]");
        for (const secret of SECRETS) expect(text).not.toContain(secret);
      }
      return spans;
    },
  },
  {
    name: "content full",
    done: "Tenant and destination have it `full`. The operator gets none.",
    tree: [`${CHAT} ok 200`, ...PASSED, "  chat m 200 ok content×4", ...SETTLED],
    gets: ["content"],
    async play(context) {
      const { spans, texts } = await talk(context, "full");
      for (const text of texts) for (const secret of SECRETS) expect(text).toContain(secret);
      return spans;
    },
  },
  {
    name: "at Langfuse",
    done: "A destination of the preset `langfuse`: the same tree, with its own attributes.",
    tree: [
      `${CHAT} ok 200`,
      ...PASSED,
      "  chat gpt-4o-mini 200 ok observation=generation +stream.first_chunk",
      ...SETTLED,
      "  prompt_cache",
    ],
    gets: ["langfuse"],
    async play(context) {
      const headers = { authorization: `Basic ${btoa("pk-lf-1:sk-lf-2")}` };
      const tenant = await withOwn(context, {}, { preset: "langfuse", headers });
      const { traceId } = await context.ask(tenant, {
        // With a price, which Langfuse shows.
        model: "up/gpt-4o-mini",
        stream: true,
        headers: { "x-headgate-session": "s-1" },
      });
      const spans = await context.own.waitForTrace(traceId);
      for (const span of spans) expect(span.attributes["session.id"]).toBe("s-1");
      expect(spanOf(spans, "chat gpt-4o-mini").attributes["gen_ai.usage.cost"]).toBeGreaterThan(0);
      return spans;
    },
  },
  {
    name: "destination tried",
    done: "An operator sends the test span to a tenant's destination.",
    tree: ["destination.test"],
    async play(context) {
      const tenant = await withOwn(context);
      const tried = await context.gateway.admin("POST", `/admin/tenants/${tenant.id}/destinations/own/test`);
      const { traceId }: { traceId: string } = JSON.parse(await tried.text());
      const spans: readonly FlatSpan[] = context.own.spansOf(traceId);
      return spans;
    },
  },
];
