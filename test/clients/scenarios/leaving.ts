// Clients that leave, at each context, and a gateway that dies. Played by scenarios.test.ts.
import { connect } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { post as send } from "../../support/clients/chat-client.ts";
import { startGateway } from "../../support/servers/gateway-process.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { CHAT, ENTRY, PASSED, SETTLED, type Scenario, type ScenarioContext } from "./scenario.ts";

/** The lease's time limit of 45 s, an alarm's grain, and an outbox's. */
const ABANDONED_MS = 90_000;
const LEAVE = { "x-leave-after-ms": "300" };
const SLOW = { kind: "answer", text: "one two three four five six", paceMs: 200 } as const;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The trace of the one request of this tenant whose client has left: it got no id. */
async function findTrace(context: ScenarioContext, tenantId: string) {
  const { otlp } = context.stack;
  const root = (): FlatSpan | undefined =>
    otlp
      .spans()
      .find(
        ({ attributes }) =>
          attributes["gateway.tenant.id"] === tenantId &&
          attributes["gateway.outcome"] === "client_disconnected",
      );
  await otlp.waitUntil(() => root() !== undefined);
  return context.spansOf({ traceId: root()?.traceId ?? "" });
}

export const LEAVING: readonly Scenario[] = [
  {
    name: "client left while it sends",
    done: "A client leaves in the middle of its request's body.",
    tree: [`${CHAT} client_disconnected 499 decision=client_disconnected`, "  auth", "  config.load"],
    async play(context) {
      const tenant = await context.tenant();
      const { port, hostname } = new URL(context.gateway.url);
      const socket = connect(Number(port), hostname);
      const head = [
        `authorization: Bearer ${tenant.key}`,
        "content-type: application/json",
        "content-length: 999",
      ];
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n${head.join("\r\n")}\r\n\r\n{"model`,
      );
      await pause(200);
      socket.destroy();
      return findTrace(context, tenant.id);
    },
  },
  {
    name: "client left while queued",
    done: "A client leaves while its request waits for a slot: its place is free at once, no upstream is called.",
    tree: [
      `${CHAT} client_disconnected 499 decision=client_disconnected waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission queue=cancelled",
      "    queue.wait queue=cancelled held_by=concurrency position=1 waited →queued_behind",
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { concurrency: 1 } });
      const slow = context.model("slow", { kind: "answer", delayMs: 1000 });
      const holding = context.ask(tenant, { model: `up/${slow}` });
      await context.stack.upstream.waitForRequest(slow);
      await send(context.gateway.leaverUrl, tenant.key, {
        model: `up/${context.model("m")}`,
        headers: LEAVE,
      });
      const spans = await findTrace(context, tenant.id);
      await context.spansOf(await holding);
      return spans;
    },
  },
  {
    name: "client left before the first byte",
    done: "A client leaves before the upstream answers: the call is aborted, the slot is released.",
    tree: [
      `${CHAT} client_disconnected 499 decision=client_disconnected`,
      ...PASSED,
      "  chat m client_disconnected left_for=give_up usage=estimate",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const tenant = await context.tenant();
      const model = context.model("m", { kind: "hang" });
      await send(context.gateway.leaverUrl, tenant.key, { model: `up/${model}`, headers: LEAVE });
      const [request] = context.stack.upstream.requestsFor(model);
      await request?.ended;
      return findTrace(context, tenant.id);
    },
  },
  {
    name: "client left in the stream",
    done: "A client leaves after the first chunks: the upstream is stopped, what it has sent is estimated and settled.",
    tree: [
      `${CHAT} client_disconnected 200 stream=client_disconnected`,
      ...PASSED,
      "  chat m 200 client_disconnected stream=client_disconnected finish=error usage=estimate +stream.first_chunk",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const tenant = await context.tenant();
      const model = context.model("m", SLOW);
      const response = await send(context.gateway.url, tenant.key, { model: `up/${model}`, stream: true });
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
      const [request] = context.stack.upstream.requestsFor(model);
      await request?.ended;
      expect(request?.outcome).toBe("client_closed");
      return context.spansOf({ traceId: response.headers.get("x-trace-id") ?? "" });
    },
  },
  {
    name: "client left in a translated stream",
    done: "The same for a client of another wire.",
    tree: [
      "POST /v1/messages client_disconnected 200 stream=client_disconnected",
      ...PASSED,
      "  chat m 200 client_disconnected stream=client_disconnected finish=error usage=estimate +stream.first_chunk",
      "  response.format client=anthropic-messages upstream=openai-chat",
      "  usage.count usage=estimate",
      "  usage.record",
    ],
    async play(context) {
      const { key } = await context.tenant();
      const model = `up/${context.model("m", SLOW)}`;
      const response = await fetch(`${context.gateway.url}/v1/messages`, {
        method: "POST",
        headers: { "x-api-key": key, "content-type": "application/json", "anthropic-version": "2023-06-01" },
        body: JSON.stringify({
          model,
          max_tokens: 9,
          stream: true,
          messages: [{ role: "user", content: "Hi" }],
        }),
      });
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.cancel();
      return context.spansOf({ traceId: response.headers.get("x-trace-id") ?? "" });
    },
  },
  {
    name: "client left, others not",
    done: "The client of the request that leads two equal ones leaves: its call goes on for the other.",
    tree: [
      `${CHAT} client_disconnected 499 decision=client_disconnected`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=lead",
      "  admission",
      "    queue.wait",
      "  chat m 200 ok",
      ...SETTLED,
    ],
    async play(context) {
      const tenant = await context.tenant({ cache: { coalesce: true } });
      const model = context.model("m", { kind: "answer", delayMs: 1000 });
      const leaving = send(context.gateway.leaverUrl, tenant.key, {
        model: `up/${model}`,
        headers: { "x-leave-after-ms": "500" },
      });
      await context.stack.upstream.waitForRequest(model);
      const other = context.ask(tenant, { model: `up/${model}` });
      await leaving;
      expect((await other).status).toBe(200);
      return findTrace(context, tenant.id);
    },
  },
  {
    name: "client left while its rate held it",
    done: "A client leaves while its request sleeps until the requests per minute let it go: it has used nothing.",
    tree: [
      `${CHAT} client_disconnected 499 decision=client_disconnected waited`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  admission queue=cancelled",
      "    queue.wait queue=cancelled held_by=requests_per_minute position=1 waited",
    ],
    async play(context) {
      const tenant = await context.tenant({ limits: { requestsPerMinute: 60, burst: 1 } });
      const ask = { model: `up/${context.model("m")}` };
      await context.ask(tenant, ask);
      await send(context.gateway.leaverUrl, tenant.key, { ...ask, headers: LEAVE });
      return findTrace(context, tenant.id);
    },
  },
  {
    name: "client left while it shares",
    done: "A client leaves while it waits for an equal request's answer, which goes on without it.",
    tree: [
      `${CHAT} client_disconnected 499 decision=client_disconnected`,
      ...ENTRY,
      "  cache.lookup cache=bypass cache_reason=tenant_off",
      "  coalesce.wait coalesce=left",
    ],
    async play(context) {
      const tenant = await context.tenant({ cache: { coalesce: true } });
      const model = context.model("m", { kind: "answer", delayMs: 1000 });
      const leading = context.ask(tenant, { model: `up/${model}` });
      await context.stack.upstream.waitForRequest(model);
      await send(context.gateway.leaverUrl, tenant.key, { model: `up/${model}`, headers: LEAVE });
      const spans = await findTrace(context, tenant.id);
      expect((await leading).status).toBe(200);
      return spans;
    },
  },
  {
    name: "abandoned",
    done: "The gateway is killed with a request in flight: its queue object sees the lease end and writes what it knows, to each place that gets the tenant's traces.",
    tree: ["abandoned abandoned error=abandoned ERROR"],
    async play(context) {
      const { stack, own } = context;
      const persistTo = mkdtempSync(join(tmpdir(), "headgate-abandoned-"));
      const options = { persistTo, vars: { OTLP_ENDPOINT: stack.otlp.url } };
      const before = await startGateway(options);
      const destinations = [{ name: "own", endpoint: own.url }];
      const tenant = await makeTenant(before, {
        upstreamUrl: stack.upstream.url,
        // A slot that a request may wait for is saved at once, so it is known after the object's own death too.
        limits: { concurrency: 1 },
        record: { tracing: { destinations } },
      });
      const model = context.model("m", { kind: "hang" });
      const lost = send(before.url, tenant.key, { model: `up/${model}` }).catch(() => undefined);
      await stack.upstream.waitForRequest(model);
      // The queue's row is written within a second.
      await pause(1500);
      await before.kill();
      await lost;
      const after = await startGateway(options);
      try {
        const ofTenant = (spans: readonly FlatSpan[]): readonly FlatSpan[] =>
          spans.filter(({ attributes }) => attributes["gateway.tenant.id"] === tenant.id);
        const leases = async (): Promise<unknown> =>
          Object(await (await after.admin("GET", `/admin/tenants/${tenant.id}/queue`)).json())["leases"];
        await expect.poll(leases, { timeout: ABANDONED_MS, interval: 2000 }).toBe(0);
        const arrived = { timeoutMs: ABANDONED_MS };
        await stack.otlp.waitUntil(() => ofTenant(stack.otlp.spans()).length > 0, arrived);
        await own.waitUntil(() => ofTenant(own.spans()).length > 0, arrived);
        const [span] = ofTenant(stack.otlp.spans());
        expect(ofTenant(own.spans()).map(({ spanId }) => spanId)).toEqual([span?.spanId]);
        const stored = await after.admin("GET", `/admin/traces/${span?.traceId}`);
        expect(await stored.text()).toContain(span?.spanId);
        for (const path of ["/admin/export", `/admin/tenants/${tenant.id}/export`]) {
          const { items }: { items: Record<string, unknown>[] } = JSON.parse(
            await (await after.admin("GET", path)).text(),
          );
          for (const item of items)
            expect(item).toMatchObject({ enqueued: item["delivered"], pending: 0, dropped: {} });
        }
        return ofTenant(stack.otlp.spans());
      } finally {
        await after.stop();
        rmSync(persistTo, { recursive: true, force: true });
      }
    },
  },
];
