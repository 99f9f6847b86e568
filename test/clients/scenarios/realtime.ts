// Realtime sessions, from the handshake to the last close, and handshakes that lead to none. Played by scenarios.test.ts.
import { expect, vi } from "vitest";
import { spanOf } from "../../support/clients/chat-client.ts";
import {
  billed,
  readEvent,
  startScriptedRealtime,
  type ScriptedRealtime,
} from "../../support/servers/scripted-realtime.ts";
import type { TenantOptions, TestTenant } from "../../support/clients/test-tenant.ts";
import { openWebSocket, type Opened, type WebSocketPeer } from "../../support/servers/websocket-peer.ts";
import { ENTRY, SETTLED, expectTraced, targets, type Scenario, type ScenarioContext } from "./scenario.ts";

const REALTIME = "GET /v1/realtime";
const ADMITTED = [...ENTRY, "  admission", "    queue.wait"];

/** With an upstream that speaks Realtime as the tenant's provider `up`. */
async function withRealtime<T>(
  context: ScenarioContext,
  play: (upstream: ScriptedRealtime, tenant: TestTenant) => Promise<T>,
  options: TenantOptions = {},
): Promise<T> {
  const upstream = await startScriptedRealtime();
  try {
    return await play(upstream, await context.tenant({ upstreamUrl: upstream.url, ...options }));
  } finally {
    await upstream.close();
  }
}

type Tried = { readonly opened: Opened; readonly traceId: string };
type Joined = { readonly client: WebSocketPeer; readonly traceId: string };

async function open(
  context: ScenarioContext,
  { key }: TestTenant,
  model: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Tried> {
  const url = `${context.gateway.url}/v1/realtime?model=${model}`;
  const opened = await openWebSocket(url, { authorization: `Bearer ${key}`, ...more });
  const headers = new Headers(
    Object.entries(opened.headers).map(([name, value]) => [name, String(value)] as [string, string]),
  );
  const traceId = headers.get("x-trace-id") ?? "";
  expectTraced({ traceId, headers });
  return { opened, traceId };
}

async function join(context: ScenarioContext, tenant: TestTenant, model: string): Promise<Joined> {
  const { opened, traceId } = await open(context, tenant, model);
  if (opened.kind !== "open") throw new Error(`refused with ${opened.status}: ${opened.body}`);
  await opened.peer.waitFor(ofType("session.created"));
  return { client: opened.peer, traceId };
}

const ofType = (type: string) => (frame: string | Buffer) => readEvent(frame).type === type;

/** Asks for so many responses and waits for the end of each. */
async function converse({ client }: Joined, responses: number): Promise<void> {
  for (let asked = 1; asked <= responses; asked += 1) {
    client.send(JSON.stringify({ type: "response.create" }));
    await vi.waitFor(() => expect(client.received.filter(ofType("response.done"))).toHaveLength(asked));
  }
}

export const REALTIME_SESSIONS: readonly Scenario[] = [
  {
    name: "realtime session",
    done: "A client opens a session, has two responses and closes it. Root and call last as long, and have the usage of both responses.",
    tree: [
      `${REALTIME} ok 101`,
      ...ADMITTED,
      "  realtime m 101 ok closed_by=client close_code=1000 +stream.first_chunk",
      ...SETTLED,
    ],
    play: (context) =>
      withRealtime(context, async (_, tenant) => {
        // A model with a price for what is heard and said.
        context.aliases.set("gpt-realtime", "m");
        const session = await join(context, tenant, "up/gpt-realtime");
        await converse(session, 2);
        session.client.close(1000, "bye");
        const spans = await context.spansOf(session);
        const told = {
          ...billed(2),
          "gateway.stream.chunks": 5,
          "gateway.realtime.session_ms": expect.any(Number),
          "gateway.realtime.responses": 2,
          "gateway.realtime.failed_responses": 0,
          "gateway.realtime.errors": 0,
          "gateway.realtime.client_frames": 2,
        };
        expect(spanOf(spans, "realtime gpt-realtime").attributes).toMatchObject(told);
        expect(spanOf(spans, REALTIME).attributes).toMatchObject({
          ...told,
          "gateway.cost.usd": expect.any(Number),
          "gateway.usage.source": "provider",
        });
        return spans;
      }),
  },
  {
    name: "realtime session, upstream breaks",
    done: "The upstream's connection breaks after a response: the client gets an error event and the code 1011. Usage until then counts.",
    tree: [
      `${REALTIME} upstream_error 101 stream=cut error=upstream_error ERROR`,
      ...ADMITTED,
      "  realtime m 101 upstream_error stream=cut closed_by=upstream close_code=1006 ERROR +stream.first_chunk",
      ...SETTLED,
    ],
    play: (context) =>
      withRealtime(context, async (upstream, tenant) => {
        const model = context.model("m");
        const session = await join(context, tenant, `up/${model}`);
        await converse(session, 1);
        upstream.session(model).destroy();
        expect(await session.client.ended).toMatchObject({ kind: "closed", code: 1011 });
        const spans = await context.spansOf(session);
        expect(spanOf(spans, REALTIME).attributes).toMatchObject(billed(1));
        return spans;
      }),
  },
  {
    name: "realtime session, client breaks",
    done: "The client's connection breaks: the upstream's session is closed, and it is not an error.",
    tree: [
      `${REALTIME} client_disconnected 101 stream=client_disconnected`,
      ...ADMITTED,
      "  realtime m 101 client_disconnected stream=client_disconnected closed_by=client close_code=1006 +stream.first_chunk",
      ...SETTLED,
    ],
    play: (context) =>
      withRealtime(context, async (upstream, tenant) => {
        const model = context.model("m");
        const session = await join(context, tenant, `up/${model}`);
        await converse(session, 1);
        session.client.destroy();
        expect(await upstream.session(model).ended).toMatchObject({ kind: "closed", code: 1001 });
        return context.spansOf(session);
      }),
  },
  {
    name: "handshake refused, then fallback",
    done: "The first target answers the handshake with 503; the second one opens the session, in which nothing is sent.",
    tree: [
      `${REALTIME} ok 101 fallback=true +fallback(503 target=up/m2 error=upstream_overloaded)`,
      "  auth",
      "  config.load",
      "  route strategy=fallback reason='first in the route's order' rejected='up/m2: later in the order'",
      "  admission",
      "    queue.wait",
      "  realtime m1 503 upstream_overloaded left_for=fallback ERROR",
      "  realtime m2 101 reason=fallback ok closed_by=client close_code=1005 +stream.first_chunk",
      "  usage.record",
    ],
    async play(context) {
      const [bad, good] = [context.model("m1"), context.model("m2")];
      const r = { targets: targets(bad, good), retries: { maxAttempts: 1 } };
      const play = async (upstream: ScriptedRealtime, tenant: TestTenant) => {
        upstream.script(bad, { kind: "refuse", status: 503 });
        const session = await join(context, tenant, "r");
        session.client.close();
        return context.spansOf(session);
      };
      return withRealtime(context, play, { routes: { r } });
    },
  },
  {
    name: "handshake refused by the upstream",
    done: "The upstream has no such model: the client's handshake is answered with its 404.",
    tree: [
      `${REALTIME} upstream_error 404 decision=upstream_rejected`,
      ...ADMITTED,
      "  realtime m 404 upstream_rejected left_for=give_up ERROR",
      "  usage.record",
    ],
    play: (context) =>
      withRealtime(context, async (upstream, tenant) => {
        const model = context.model("m");
        upstream.script(model, { kind: "refuse", status: 404 });
        const tried = await open(context, tenant, `up/${model}`);
        expect(tried.opened).toMatchObject({ kind: "refused", status: 404 });
        return context.spansOf(tried);
      }),
  },
  {
    name: "no slot for a session",
    done: "Another session holds the tenant's only slot, and waiting is off: 429 to the handshake.",
    tree: [
      `${REALTIME} rejected 429 decision=queue_full limit=queue_depth limit_value=0`,
      ...ENTRY,
      "  admission decision=queue_full limit=queue_depth limit_value=0 queue=refused",
      "    queue.wait queue=refused held_by=concurrency position=1 →queued_behind",
    ],
    async play(context) {
      const play = async (_: ScriptedRealtime, tenant: TestTenant) => {
        const model = `up/${context.model("m")}`;
        const holder = await join(context, tenant, model);
        const tried = await open(context, tenant, model);
        expect(tried.opened).toMatchObject({ kind: "refused", status: 429 });
        holder.client.close(1000);
        await context.spansOf(holder);
        return context.spansOf(tried);
      };
      return withRealtime(context, play, { limits: { concurrency: 1, queue: { maxDepth: 0 } } });
    },
  },
  {
    name: "no WebSocket",
    done: "`GET /v1/realtime` without an upgrade: 426.",
    tree: [`${REALTIME} rejected 426 decision=upgrade_required`, "  auth", "  config.load"],
    async play(context) {
      const { key } = await context.tenant();
      const sent = await context.send("/v1/realtime?model=up/m", { key });
      expect(sent.status).toBe(426);
      return context.spansOf(sent);
    },
  },
];
