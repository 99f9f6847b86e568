// How a session of `GET /v1/realtime` ends, by either side, and the trace it leaves: usage and cost as billed, on span and ledger.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../../support/servers/otlp-receiver.ts";
import type { FlatSpan } from "../../support/checkers/otlp-spans.ts";
import { uniqueModel } from "../../support/servers/gateway-stack.ts";
import {
  billed,
  readEvent,
  startScriptedRealtime,
  type ScriptedRealtime,
} from "../../support/servers/scripted-realtime.ts";
import { checkTrace } from "../../support/checkers/trace-invariants.ts";
import { makeTenant, type TenantOptions, type TestTenant } from "../../support/clients/test-tenant.ts";
import { openWebSocket, type WebSocketPeer } from "../../support/servers/websocket-peer.ts";

let upstream: ScriptedRealtime;
let otlp: OtlpReceiver;
let gateway: Gateway;
beforeAll(async () => {
  [upstream, otlp] = await Promise.all([startScriptedRealtime(), startOtlpReceiver()]);
  gateway = await startGateway({ vars: { OTLP_ENDPOINT: otlp.url } });
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([upstream.close(), otlp.close()]);
});

/** A lease is renewed each 15 s, and its version of the records comes with that. */
const LONG_MS = 60_000;
/** workerd's limit of a WebSocket message. */
const MAX_FRAME_BYTES = 32 * 1024 * 1024;

const setUp = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(gateway, { upstreamUrl: upstream.url, ...options });

type Joined = { readonly client: WebSocketPeer; readonly traceId: string; readonly model: string };

async function join(key: string, model = uniqueModel(), headers = {}): Promise<Joined> {
  const url = `${gateway.url}/v1/realtime?model=up/${model}`;
  const opened = await openWebSocket(url, { authorization: `Bearer ${key}`, ...headers });
  if (opened.kind !== "open") throw new Error(`refused with ${opened.status}: ${opened.body}`);
  await opened.peer.waitFor(ofType("session.created"));
  return { client: opened.peer, traceId: String(opened.headers["x-trace-id"]), model };
}

const ofType = (type: string) => (frame: string | Buffer) => readEvent(frame).type === type;

/** Asks for so many responses and waits for the end of each. */
async function converse({ client }: Joined, responses: number): Promise<void> {
  for (let n = 1; n <= responses; n += 1) {
    client.send(JSON.stringify({ type: "response.create" }));
    await vi.waitFor(() => expect(client.received.filter(ofType("response.done"))).toHaveLength(n));
  }
}

async function traceOf({
  traceId,
}: Joined): Promise<{ root: FlatSpan; call: FlatSpan; spans: readonly FlatSpan[] }> {
  const spans = await otlp.waitForTrace(traceId);
  expect(checkTrace(spans)).toEqual([]);
  const root = spans.find(({ parentSpanId }) => parentSpanId === undefined);
  const call = spans.findLast(({ attributes }) => attributes["gateway.attempt.number"] !== undefined);
  if (root === undefined || call === undefined) throw new Error("the trace has no root or no call");
  return { root, call, spans };
}

describe("the trace of a session", () => {
  test("is one, from the handshake to the close, with usage and cost as billed, which the ledger has too", async () => {
    const tenant = await setUp({ record: { budget: { usd: 1, period: "month" } } });
    const session = await join(tenant.key, "gpt-realtime", { "x-headgate-session": "conversation-1" });
    await converse(session, 2);
    session.client.close(1000, "bye");
    const { root, call, spans } = await traceOf(session);
    expect(root.name).toBe("GET /v1/realtime");
    expect(call.name).toBe("realtime gpt-realtime");
    const about = {
      "gateway.stream.outcome": "complete",
      "gateway.stream.chunks": 5,
      "gateway.realtime.closed_by": "client",
      "gateway.realtime.close_code": 1000,
      "gateway.realtime.responses": 2,
      "gateway.realtime.failed_responses": 0,
      "gateway.realtime.errors": 0,
      "gateway.realtime.client_frames": 2,
      "gen_ai.conversation.id": "conversation-1",
      ...billed(2),
    };
    expect(call.attributes).toMatchObject({
      ...about,
      "gen_ai.operation.name": "realtime",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-realtime",
      "gen_ai.response.model": "gpt-realtime",
      "gen_ai.response.id": "sess_gpt-realtime",
      "gateway.attempt.outcome": "ok",
      "gateway.upstream.request_id": "req_upstream_1",
      "http.response.status_code": 101,
    });
    expect(call.attributes["gateway.realtime.session_ms"]).toBeGreaterThanOrEqual(0);
    expect(call.attributes["gen_ai.response.time_to_first_chunk"]).toBeGreaterThanOrEqual(0);
    // By hand, in micro-dollars: text 53 at 4, heard 10 at 32, cached 64 at 0.4, written 36 at 16, spoken 112 at 64.
    const microUsd = 2 * (53 * 4 + 10 * 32 + 64 * 0.4 + 36 * 16 + 112 * 64);
    const costUsd = Math.round(microUsd) / 1e6;
    expect(root.attributes).toMatchObject({
      ...about,
      "gateway.outcome": "ok",
      "gateway.cost.usd": costUsd,
      "gateway.usage.source": "provider",
      "http.response.status_code": 101,
    });
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["gateway.auth", "gateway.route", "gateway.admission", "gateway.usage.record"]),
    );
    await vi.waitFor(async () => {
      const queue = await gateway.admin("GET", `/admin/tenants/${tenant.id}/queue`);
      expect(await queue.json()).toMatchObject({
        leases: 0,
        limits: { budgetMicroUsd: { remaining: Math.floor(1e6 - microUsd) } },
      });
    });
  });

  test("tells of each target that was asked before, and of error events", async () => {
    const [bad, good] = [uniqueModel(), uniqueModel()];
    const targets = [bad, good].map((model) => ({ provider: "up", model }));
    const tenant = await setUp({ routes: { voice: { retries: { maxAttempts: 1 }, targets } } });
    upstream.script(bad, { kind: "refuse", status: 503 });
    const opened = await openWebSocket(`${gateway.url}/v1/realtime?model=voice`, {
      authorization: `Bearer ${tenant.key}`,
    });
    if (opened.kind !== "open") throw new Error(opened.body);
    upstream.session(good).send(JSON.stringify({ type: "error", error: { message: "private words" } }));
    await opened.peer.waitFor(ofType("error"));
    opened.peer.close();
    const { root, spans } = await traceOf({
      client: opened.peer,
      traceId: String(opened.headers["x-trace-id"]),
      model: good,
    });
    const calls = spans.filter(({ name }) => name.startsWith("realtime "));
    expect(calls.map(({ name, attributes }) => [name, attributes["gateway.attempt.outcome"]])).toEqual([
      [`realtime ${bad}`, "upstream_overloaded"],
      [`realtime ${good}`, "ok"],
    ]);
    expect(root.attributes).toMatchObject({
      "gateway.fallback.used": true,
      "gateway.realtime.errors": 1,
      "gateway.realtime.close_code": 1005,
    });
    expect(root.attributes).not.toHaveProperty("gen_ai.usage.input_tokens");
    expect(otlp.allText()).not.toContain("private words");
  });

  test("holds neither words nor keys, whatever the tenant lets be recorded", async () => {
    const tenant = await setUp({ record: { tracing: { content: "full" } } });
    const said = `canary-${randomUUID()}`;
    const session = await join(tenant.key, uniqueModel(), { "openai-beta": said });
    session.client.send(JSON.stringify({ type: "input_text", text: said }));
    const item = { type: "message", content: [{ type: "text", text: said }] };
    const done = { type: "response.done", response: { status: "failed", output: [item], usage: null } };
    upstream.session(session.model).send(JSON.stringify(done));
    await session.client.waitFor(ofType("response.done"));
    session.client.close(4000, said);
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.realtime.failed_responses": 1,
      "gateway.realtime.close_code": 4000,
    });
    const stored = await gateway.admin("GET", `/admin/traces/${session.traceId}?tenant=${tenant.id}`);
    const written = `${otlp.allText()} ${await stored.text()} ${gateway.logs()}`;
    const found = [said, tenant.key, tenant.credential].filter((canary) => written.includes(canary));
    expect(found).toEqual([]);
  });
});

describe("the end of a session", () => {
  test.for([
    { by: "client", code: 1000, reason: "bye" },
    { by: "client", code: 4711, reason: "Füße 🚀" },
    { by: "client", code: undefined, reason: "" },
    { by: "upstream", code: 1001, reason: "Your session hit its maximum duration." },
    { by: "upstream", code: undefined, reason: "" },
  ] as const)("by the $by with $code reaches the other side as it is", async ({ by, code, reason }) => {
    const tenant = await setUp();
    const session = await join(tenant.key);
    const server = upstream.session(session.model);
    const [ending, other] = by === "client" ? [session.client, server] : [server, session.client];
    ending.close(code, reason);
    expect(await other.ended).toEqual({ kind: "closed", code, reason });
    expect(await ending.ended).toMatchObject({ kind: "closed", code });
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "ok",
      "gateway.realtime.closed_by": by,
      "gateway.realtime.close_code": code ?? 1005,
    });
  });

  test("by an upstream that complains is its error, and reaches the client with its code", async () => {
    const tenant = await setUp();
    const session = await join(tenant.key);
    upstream.session(session.model).close(1011, "internal");
    expect(await session.client.ended).toEqual({ kind: "closed", code: 1011, reason: "internal" });
    const { root, call } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "upstream_error",
      "gateway.realtime.closed_by": "upstream",
      "gateway.realtime.close_code": 1011,
      "error.type": "upstream_error",
    });
    expect(call.attributes["gateway.attempt.outcome"]).toBe("upstream_error");
  });

  test("by an upstream that breaks off is an error event, and with 1011", async () => {
    const tenant = await setUp();
    const session = await join(tenant.key);
    await converse(session, 1);
    upstream.session(session.model).destroy();
    expect(readEvent(await session.client.waitFor(ofType("error")))).toMatchObject({
      event_id: expect.stringMatching(/^event_req_/),
      error: {
        type: "api_error",
        code: "upstream_error",
        message: "The connection to 'up' failed.",
        event_id: null,
      },
    });
    expect(await session.client.ended).toEqual({
      kind: "closed",
      code: 1011,
      reason: "The connection to 'up' failed.",
    });
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "upstream_error",
      "gateway.stream.outcome": "cut",
      "gateway.realtime.close_code": 1006,
      ...billed(1),
    });
  });

  test("comes with a frame that is larger than the platform takes", async () => {
    const tenant = await setUp();
    const session = await join(tenant.key);
    upstream.session(session.model).send(Buffer.alloc(MAX_FRAME_BYTES + 1));
    expect(await session.client.ended).toMatchObject({ kind: "closed", code: 1011 });
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "upstream_error",
      "gateway.realtime.close_code": 1006,
    });
  });

  test("by a client that is gone closes the upstream, and what it used is counted", async () => {
    const tenant = await setUp();
    const session = await join(tenant.key);
    await converse(session, 1);
    session.client.destroy();
    expect(await upstream.session(session.model).ended).toEqual({
      kind: "closed",
      code: 1001,
      reason: "The client's connection failed.",
    });
    const { root, call } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "client_disconnected",
      "gateway.realtime.closed_by": "client",
      "gateway.realtime.close_code": 1006,
      ...billed(1),
    });
    expect(root.status.code).not.toBe(2);
    expect(call.status.code).not.toBe(2);
  });

  test("lets what the upstream still sends be counted until it has closed too", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    upstream.script(model, { kind: "accept", isMute: true });
    const session = await join(tenant.key, model);
    const server = upstream.session(model);
    session.client.close(1000);
    await server.ended;
    const usage = { input_tokens: 7, output_tokens: 3 };
    server.send(JSON.stringify({ type: "response.done", response: { status: "cancelled", usage } }));
    server.close(1000);
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gen_ai.usage.input_tokens": 7,
      "gen_ai.usage.output_tokens": 3,
      "gateway.realtime.responses": 1,
    });
  });

  test("does not wait for an upstream that answers no close", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    upstream.script(model, { kind: "accept", isMute: true });
    const session = await join(tenant.key, model);
    session.client.close(1000);
    expect(await session.client.ended).toMatchObject({ kind: "closed", code: 1000 });
    const { root } = await traceOf(session);
    expect(root.attributes).toMatchObject({
      "gateway.outcome": "ok",
      "gateway.realtime.closed_by": "client",
    });
  });

  test(
    "comes with the key's: 1008 within a lease's renewal, after an error event",
    { timeout: LONG_MS },
    async () => {
      const tenant = await setUp();
      const session = await join(tenant.key);
      await converse(session, 1);
      await gateway.admin("DELETE", `/admin/tenants/${tenant.id}/keys/${tenant.keyId}`);
      const message =
        "The key was revoked or paused, or the tenant suspended, while the request was running.";
      expect(await session.client.ended).toEqual({ kind: "closed", code: 1008, reason: message });
      expect(readEvent(session.client.received.at(-1) ?? "")).toMatchObject({
        type: "error",
        error: { type: "permission_error", code: "permission_denied", message },
      });
      expect(await upstream.session(session.model).ended).toMatchObject({ kind: "closed", code: 1001 });
      const { root } = await traceOf(session);
      expect(root.attributes).toMatchObject({
        "gateway.outcome": "rejected",
        "gateway.realtime.closed_by": "gateway",
        "gateway.realtime.close_code": 1008,
        ...billed(1),
      });
    },
  );
});
