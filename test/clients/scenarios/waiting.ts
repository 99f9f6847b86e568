// Requests that wait in the tenant's queue, and what they learn about which request they waited for. Played by scenarios.test.ts.
import { expect } from "vitest";
import { linksOf, spanOf } from "../../support/clients/chat-client.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { makeKey } from "../../support/clients/test-tenant.ts";
import { CHAT, ENTRY, SETTLED, type Scenario, type ScenarioContext } from "./scenario.ts";

const waitMsOf = (spans: readonly FlatSpan[]): number =>
  Number(spanOf(spans, "gateway.queue.wait").attributes["gateway.queue.wait_ms"]);

/** One slot, held for half a second; a request that comes then has to wait. */
async function behind(context: ScenarioContext, headers: Readonly<Record<string, string>> = {}) {
  const tenant = await context.tenant({ limits: { concurrency: 1 } });
  const slow = context.model("slow", { kind: "answer", delayMs: 500 });
  const holding = context.ask(tenant, { model: `up/${slow}` });
  await context.stack.upstream.waitForRequest(slow);
  const answer = await context.ask(tenant, { model: `up/${context.model("m")}`, headers });
  return {
    tenant,
    answer,
    spans: await context.spansOf(answer),
    holder: await context.spansOf(await holding),
  };
}

export const WAITING: readonly Scenario[] = [
  {
    name: "waited for a slot",
    done: "One slot, and another request holds it. The links lead to that request's root, whose trace can be opened.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=concurrency position=1 waited →queued_behind →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const { tenant, answer, spans, holder } = await behind(context);
      const wait = spanOf(spans, "gateway.queue.wait");
      const root = spanOf(holder, CHAT);
      const held = { traceId: root.traceId, spanId: root.spanId };
      expect(wait.links).toMatchObject([held, held]);
      expect(wait.attributes["gateway.queue.admitted_by"]).toBe(root.traceId);
      expect(Number(answer.headers.get("x-headgate-queue-ms"))).toBe(waitMsOf(spans));
      // The length is the object's own; it lies within the call that asked.
      const lengthNs = BigInt(wait.endTimeUnixNano) - BigInt(wait.startTimeUnixNano);
      expect(Number(lengthNs) / 1e6).toBe(waitMsOf(spans));
      for (const path of [
        `/admin/traces/${held.traceId}?tenant=${tenant.id}`,
        `/jaeger/api/traces/${held.traceId}`,
      ]) {
        const opened = await context.gateway.admin("GET", path);
        expect([opened.status, await opened.text()]).toEqual([200, expect.stringContaining(held.spanId)]);
      }
      return spans;
    },
  },
  {
    name: "waited in the batch lane",
    done: "The same with `x-headgate-priority: batch`.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission lane=batch",
      "    queue.wait held_by=concurrency position=1 waited →queued_behind →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    play: async (context) => (await behind(context, { "x-headgate-priority": "batch" })).spans,
  },
  {
    name: "third in the queue",
    done: "Two slots taken and one request waiting already: two held the slots, the end of one admitted it.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=concurrency position=2 depth=1 waited →queued_behind×2 →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 2 } });
      const slow = context.model("slow", { kind: "answer", delayMs: 500 });
      const holding = [1, 2].map(() => context.ask(tenant, { model: `up/${slow}` }));
      await context.stack.upstream.waitForRequest(slow, { nth: 2 });
      const before = context.ask(tenant, { model: `up/${slow}` });
      const depth = async (): Promise<unknown> =>
        Object(await (await context.gateway.admin("GET", `/admin/tenants/${tenant.id}/queue`)).json())[
          "depth"
        ];
      await expect.poll(depth, { interval: 20 }).toBe(1);
      const spans = await context.trace(tenant, { model: `up/${context.model("m")}` });
      for (const answer of [...holding, before]) await context.spansOf(await answer);
      const wait = spanOf(spans, "gateway.queue.wait");
      expect(new Set(linksOf(wait, "queued_behind")).size).toBe(2);
      return spans;
    },
  },
  {
    name: "behind ten",
    done: "Ten slots, all of them taken: the links are cut at eight, and what they lead to is there.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=concurrency position=1 waited →queued_behind×8 →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 10 } });
      const slow = context.model("slow", { kind: "answer", delayMs: 600 });
      const holding = Array.from({ length: 10 }, () => context.ask(tenant, { model: `up/${slow}` }));
      await context.stack.upstream.waitForRequest(slow, { nth: 10 });
      const spans = await context.trace(tenant, { model: `up/${context.model("m")}` });
      for (const answer of holding) await context.spansOf(await answer);
      return spans;
    },
  },
  {
    name: "waited for its rate",
    done: "Only the requests per minute are in the way: no other request's end admits it, so there is no link.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=requests_per_minute position=1 waited",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { requestsPerMinute: 120, burst: 1 } });
      const ask = { model: `up/${context.model("m")}` };
      await context.ask(tenant, ask);
      const spans = await context.trace(tenant, ask);
      expect(waitMsOf(spans)).toBeGreaterThan(250);
      return spans;
    },
  },
  {
    name: "waited by its key's own limit",
    done: "The tenant has room, the key has one slot.",
    tree: [
      `${CHAT} ok 200 waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission",
      "    queue.wait held_by=concurrency position=1 waited →queued_behind →admitted_by",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const { id } = await context.tenant();
      const key = await makeKey(context.gateway, id, { limits: { concurrency: 1 } });
      const slow = context.model("slow", { kind: "answer", delayMs: 400 });
      const holding = context.ask(key, { model: `up/${slow}` });
      await context.stack.upstream.waitForRequest(slow);
      const spans = await context.trace(key, { model: `up/${context.model("m")}` });
      await context.spansOf(await holding);
      return spans;
    },
  },
  {
    name: "admitted by its isolate",
    done: "A busy tenant far below its limits: the isolate uses a prefetched lease and makes no call.",
    tree: [
      `${CHAT} ok 200`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission leased=true",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 1000 } });
      const ask = { model: `up/${context.model("m")}` };
      const isLeased = (spans: readonly FlatSpan[]): boolean =>
        spanOf(spans, "gateway.admission").attributes["gateway.queue.leased"] === true;
      for (let round = 0; round < 20; round += 1) {
        const answers = await Promise.all(Array.from({ length: 8 }, () => context.ask(tenant, ask)));
        const traces = await Promise.all(answers.map((answer) => context.spansOf(answer)));
        const leased = traces.find(isLeased);
        if (leased !== undefined) return leased;
      }
      throw new Error("no request was let in by its isolate");
    },
  },
];
