// `GET /v1/realtime`: sessions through the gateway to a scripted upstream, by the official SDK and by a WebSocket made by hand. How
// sessions end, and what their traces say, is realtime-end.test.ts.
import OpenAI from "openai";
import { OpenAIRealtimeWebSocket } from "openai/realtime/websocket";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { startGateway, type Gateway } from "../../support/servers/gateway-process.ts";
import { uniqueModel } from "../../support/servers/gateway-stack.ts";
import {
  readEvent,
  startScriptedRealtime,
  type ScriptedRealtime,
} from "../../support/servers/scripted-realtime.ts";
import {
  makeKey,
  makeTenant,
  type TenantOptions,
  type TestTenant,
} from "../../support/clients/test-tenant.ts";
import { openWebSocket, type Opened, type WebSocketPeer } from "../../support/servers/websocket-peer.ts";

let upstream: ScriptedRealtime;
let gateway: Gateway;
beforeAll(async () => {
  upstream = await startScriptedRealtime();
  // Cross-origin headers are set on the handshake's answer too.
  gateway = await startGateway({ vars: { CORS_ORIGINS: "*" } });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});
afterEach(() => void vi.unstubAllGlobals());

const setUp = (options: TenantOptions = {}): Promise<TestTenant> =>
  makeTenant(gateway, { upstreamUrl: upstream.url, ...options });

function open(key: string, query: string, headers: Readonly<Record<string, string>> = {}): Promise<Opened> {
  return openWebSocket(`${gateway.url}/v1/realtime?${query}`, { authorization: `Bearer ${key}`, ...headers });
}

async function join(key: string, query: string, headers = {}): Promise<WebSocketPeer> {
  const opened = await open(key, query, headers);
  if (opened.kind === "open") return opened.peer;
  throw new Error(`refused with ${opened.status}: ${opened.body}`);
}

const ofType = (type: string) => (frame: string | Buffer) => readEvent(frame).type === type;

describe("a session", () => {
  test("of the official SDK is what it is at OpenAI, with the gateway key among its subprotocols", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    const sockets: WebSocket[] = [];
    // The SDK insists on wss; in front of the test's gateway there is no TLS.
    const Plain = class extends WebSocket {
      constructor(url: string, protocols?: string[]) {
        super(url.replace(/^wss:/, "ws:"), protocols);
        sockets.push(this);
      }
    };
    vi.stubGlobal("WebSocket", Plain);
    const client = new OpenAI({ apiKey: tenant.key, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    const realtime = new OpenAIRealtimeWebSocket({ model: `up/${model}` }, client);
    const events: string[] = [];
    const done = Promise.withResolvers<void>();
    realtime.on("event", ({ type }) => events.push(type));
    realtime.on("error", (error) => done.reject(error));
    realtime.on("session.created", () => realtime.send({ type: "response.create" }));
    realtime.on("response.done", ({ response }) => {
      expect(response.usage).toMatchObject({ input_tokens: 127, output_tokens: 148 });
      done.resolve();
    });
    await done.promise;
    realtime.close();
    expect(events).toEqual(["session.created", "response.output_audio.delta", "response.done"]);
    expect(sockets[0]?.protocol).toBe("realtime");
    expect(await upstream.session(model).ended).toEqual({ kind: "closed", code: 1000, reason: "OK" });
    const [handshake] = upstream.seen(model);
    expect(handshake?.path).toBe(`/v1/realtime?model=${model}`);
    expect(handshake?.headers).toMatchObject({
      authorization: `Bearer ${tenant.credential}`,
      "sec-websocket-protocol": "realtime",
    });
    expect(JSON.stringify(handshake)).not.toContain(tenant.key);
  });

  test("carries text and bytes both ways unchanged, also megabytes of them", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    const client = await join(tenant.key, `model=up/${model}`);
    const bytes = Buffer.from(Uint8Array.from({ length: 256 }, (_, at) => at));
    client.send(bytes);
    expect(await client.waitFor((frame) => frame instanceof Buffer)).toEqual(bytes);
    const large = JSON.stringify({ type: "x", text: "Füße 🚀".repeat(200_000) });
    upstream.session(model).send(large);
    expect(await client.waitFor(ofType("x"))).toBe(large);
    client.send(large);
    expect(await upstream.session(model).waitFor(ofType("x"))).toBe(large);
    client.close();
  });

  test("has the account's credential, the client's beta mark and other parameters, and nothing of the gateway's", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    const headers = { "openai-beta": "realtime=v1", "x-headgate-session": "s1", cookie: "a=b" };
    const client = await join(tenant.key, `model=up/${model}&key=${tenant.key}&x=1`, headers);
    client.close();
    const [handshake] = upstream.seen(model);
    expect(handshake?.path).toBe(`/v1/realtime?x=1&model=${model}`);
    expect(handshake?.headers).toMatchObject({ "openai-beta": "realtime=v1" });
    expect(JSON.stringify(handshake)).not.toMatch(/hg_|x-headgate|cookie|traceparent/);
  });

  test("of a browser that asks for the beta has it as a header", async () => {
    const tenant = await setUp();
    const model = uniqueModel();
    const protocols = `realtime, openai-insecure-api-key.${tenant.key}, openai-beta.realtime-v1`;
    const opened = await openWebSocket(`${gateway.url}/v1/realtime?model=up/${model}`, {
      "sec-websocket-protocol": protocols,
      origin: "https://app.example",
    });
    expect(opened.headers).toMatchObject({
      "sec-websocket-protocol": "realtime",
      "x-headgate-target": `up/${model}`,
      "x-headgate-attempts": "1",
      "access-control-allow-origin": "*",
    });
    expect(opened.headers["x-trace-id"]).toMatch(/^[0-9a-f]{32}$/);
    expect(upstream.seen(model)[0]?.headers["openai-beta"]).toBe("realtime=v1");
  });

  test("of a route, or of the tenant's default, goes to its target", async () => {
    const model = uniqueModel();
    const tenant = await setUp({
      routes: { voice: { strategy: "fallback", targets: [{ provider: "up", model }] } },
      record: { defaultRoute: "voice" },
    });
    (await join(tenant.key, "model=voice")).close();
    (await join(tenant.key, "")).close();
    expect(upstream.seen(model)).toHaveLength(2);
  });

  test("that transcribes is routed by its model and opened without one", async () => {
    const tenant = await setUp();
    const client = await join(tenant.key, "model=up/any&intent=transcription");
    client.close();
    expect(upstream.seen("").at(-1)?.path).toBe("/v1/realtime?intent=transcription");
    const { key } = await makeKey(gateway, tenant.id, { allowedModels: ["up/any"] });
    const refused = await open(key, "model=up/any&intent=transcription");
    expect(refused).toMatchObject({ kind: "refused", status: 403 });
  });
});

describe("a handshake", () => {
  const errorOf = (opened: Opened): unknown => {
    if (opened.kind === "open") throw new Error("it was not refused");
    return { status: opened.status, ...JSON.parse(opened.body).error };
  };

  test("is refused without a WebSocket, a key, a model, or with an unknown one", async () => {
    const { key } = await setUp();
    const plain = await fetch(`${gateway.url}/v1/realtime?model=up/m`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(plain.status).toBe(426);
    expect(await plain.json()).toMatchObject({ error: { code: "upgrade_required" } });
    const posted = await fetch(`${gateway.url}/v1/realtime`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
    });
    expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET"]);
    const keyless = await openWebSocket(`${gateway.url}/v1/realtime?model=up/m`);
    expect(errorOf(keyless)).toMatchObject({ status: 401, code: "invalid_api_key" });
    expect(errorOf(await open(key, ""))).toMatchObject({ status: 400, param: "model" });
    expect(errorOf(await open(key, "model=nobody/m"))).toMatchObject({
      status: 404,
      code: "model_not_found",
    });
  });

  test("is refused for a provider of another API, which it names", async () => {
    const { key } = await setUp({ providerKind: "anthropic" });
    expect(errorOf(await open(key, "model=up/m"))).toMatchObject({
      status: 400,
      param: "model",
      message: "'up' (anthropic) does not offer OpenAI's Realtime API.",
    });
  });

  test("is refused in the upstream's own words where it is the client's fault", async () => {
    const { key } = await setUp();
    const model = uniqueModel();
    const body = { error: { message: "That model can't speak.", param: "model" } };
    upstream.script(model, { kind: "refuse", status: 404, body });
    expect(errorOf(await open(key, `model=up/${model}`))).toMatchObject({
      status: 404,
      code: "upstream_rejected",
      message: "That model can't speak.",
    });
    expect(upstream.seen(model)).toHaveLength(1);
  });

  test.for([
    { refusal: { kind: "refuse", status: 401 } as const, code: "upstream_auth", status: 502 },
    { refusal: { kind: "refuse", status: 429 } as const, code: "upstream_rate_limited", status: 429 },
    { refusal: { kind: "refuse", status: 500 } as const, code: "upstream_error", status: 502 },
    { refusal: { kind: "refuse", status: 200 } as const, code: "upstream_error", status: 502 },
    { refusal: { kind: "hang" } as const, code: "upstream_timeout", status: 504 },
  ])("that the upstream meets with $refusal falls to the next target, and to $code", async (given) => {
    const [bad, good] = [uniqueModel(), uniqueModel()];
    const targets = [bad, good].map((model) => ({ provider: "up", model }));
    const retries = { maxAttempts: 1 };
    const { key } = await setUp({
      routes: {
        voice: { strategy: "fallback", retries, targets },
        alone: { strategy: "fallback", retries, targets: targets.slice(0, 1) },
      },
    });
    upstream.script(bad, given.refusal);
    const headers = { "x-headgate-timeout-ms": "500" };
    const opened = await open(key, "model=voice", headers);
    expect(opened.headers).toMatchObject({ "x-headgate-target": `up/${good}`, "x-headgate-attempts": "2" });
    if (opened.kind === "open") {
      await opened.peer.waitFor(ofType("session.created"));
      opened.peer.close();
    }
    expect(upstream.seen(bad)).toHaveLength(1);
    expect(errorOf(await open(key, "model=alone", headers))).toMatchObject({
      status: given.status,
      code: given.code,
    });
  });

  test("that is slow may be hedged: the first session to open is the client's", async () => {
    const [slow, fast] = [uniqueModel(), uniqueModel()];
    const targets = [slow, fast].map((model) => ({ provider: "up", model }));
    const { key } = await setUp({
      routes: { voice: { strategy: "fallback", hedge: { afterMs: 100 }, targets } },
    });
    upstream.script(slow, { kind: "hang" });
    const opened = await open(key, "model=voice");
    expect(opened.headers).toMatchObject({ "x-headgate-target": `up/${fast}`, "x-headgate-attempts": "2" });
    if (opened.kind === "open") {
      await opened.peer.waitFor(ofType("session.created"));
      opened.peer.close();
    }
  });

  test("waits for the tenant's slot, which the session before it holds to its end", async () => {
    const { key } = await setUp({ limits: { concurrency: 1 } });
    const model = `model=up/${uniqueModel()}`;
    const first = await join(key, model);
    const refused = await open(key, model, { "x-headgate-max-wait-ms": "0" });
    expect(errorOf(refused)).toMatchObject({ status: 429, code: "rate_limited" });
    expect(refused.headers["retry-after"]).toMatch(/^\d+$/);
    const second = join(key, model);
    first.close(1000);
    (await second).close();
  });

  test("is refused where the queue is full", async () => {
    const { key } = await setUp({ limits: { concurrency: 1, queue: { maxDepth: 0 } } });
    const model = `model=up/${uniqueModel()}`;
    const first = await join(key, model);
    expect(errorOf(await open(key, model))).toMatchObject({ status: 429, code: "queue_full" });
    first.close();
  });
});
