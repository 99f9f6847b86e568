// The bound on the bytes of bodies that an isolate holds, through HTTP: many large bodies at once, requests and answers, on the paths
// that read them whole; and that nothing stays counted afterwards.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rootOf, spansOf } from "../../support/clients/chat-client.ts";
import { makeTenant } from "../../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../../support/servers/gateway-stack.ts";
import type { Reply } from "../../support/servers/upstream-replies.ts";

const MEMORY_MB = 4;
const MB = 1024 * 1024;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack({ BODY_MEMORY_MB: String(MEMORY_MB) });
});
afterAll(() => stack.close());

interface Large {
  readonly key: string;
  readonly model: string;
}

async function withModel(reply: Reply): Promise<Large> {
  const model = uniqueModel();
  stack.upstream.script(model, reply);
  const { key } = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url });
  return { key, model };
}

interface Sending {
  readonly bytes?: number;
  readonly path?: string;
  readonly isStream?: boolean;
}

/** A chat request with a prompt of that size; `path` names the model for the vendor where it is a native one. */
function send(
  { key, model }: Large,
  { bytes = MB, path, isStream = false }: Sending = {},
): Promise<Response> {
  return fetch(stack.gateway.url + (path ?? "/v1/chat/completions"), {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({
      model: path === undefined ? `up/${model}` : model,
      messages: [{ role: "user", content: "x".repeat(bytes) }],
      stream: isStream,
    }),
  });
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const readAll = (responses: readonly Promise<Response>[]): Promise<readonly Told[]> =>
  Promise.all(
    responses.map(async (each) => {
      const response = await each;
      return { status: response.status, headers: response.headers, text: await response.text() };
    }),
  );

const countOf = (told: readonly Told[], status: number): number =>
  told.filter((each) => each.status === status).length;

describe("many large bodies at once", () => {
  test.each([
    ["the gateway's own path", undefined],
    ["/proxy, read for its usage", "/proxy/up/chat/completions"],
  ])(
    "on %s: as many as there is room for are answered, the others get 503 and a Retry-After",
    async (_, path) => {
      const large = await withModel({ kind: "answer", text: "done", delayMs: 1000 });
      const told = await readAll(
        Array.from({ length: 12 }, () => send(large, { ...(path !== undefined && { path }) })),
      );
      expect(countOf(told, 200)).toBeGreaterThanOrEqual(2);
      expect(countOf(told, 200)).toBeLessThanOrEqual(MEMORY_MB);
      expect(countOf(told, 200) + countOf(told, 503)).toBe(12);
      expect(stack.upstream.requestsFor(large.model)).toHaveLength(countOf(told, 200));
      const [refused] = told.filter(({ status }) => status === 503);
      expect(refused?.text).toContain("overloaded");
      expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(0);
      // Nothing is held any more.
      stack.upstream.script(large.model, { kind: "answer", text: "done" });
      for (let n = 0; n < MEMORY_MB + 1; n += 1)
        expect((await readAll([send(large, { ...(path !== undefined && { path }) })]))[0]?.status).toBe(200);
    },
    30_000,
  );

  test("leave small requests alone, and are counted in the trace and the metrics", async () => {
    const large = await withModel({ kind: "answer", text: "done", delayMs: 1000 });
    const holding = Array.from({ length: 3 }, () => send(large));
    await sleep(500);
    const [refused] = await readAll([send(large, { bytes: 1.5 * MB })]);
    expect(refused?.status).toBe(503);
    expect((await readAll([send(large, { bytes: 1000 })]))[0]?.status).toBe(200);
    expect(countOf(await readAll(holding), 200)).toBe(3);
    const spans = await spansOf(stack, { traceId: refused?.headers.get("x-trace-id") ?? "" });
    expect(rootOf(spans).attributes).toMatchObject({
      "gateway.decision": "overloaded",
      "gateway.limit.name": "body_memory",
      "gateway.limit.value": MEMORY_MB * MB,
    });
    const metrics = await (await stack.gateway.admin("GET", "/metrics")).text();
    expect(metrics).toMatch(/gateway_refusals[^\n]*body_memory/);
  }, 20_000);

  test("larger than half of the room pass one at a time", async () => {
    const large = await withModel({ kind: "answer", text: "done" });
    for (let n = 0; n < 2; n += 1)
      expect((await readAll([send(large, { bytes: 6 * MB })]))[0]?.status).toBe(200);
  }, 20_000);
});

describe("a large request", () => {
  test("is let go when its stream has begun: more run at once than there would be room for", async () => {
    const large = await withModel({ kind: "answer", text: "a b c d e f g h", paceMs: 400 });
    const streams: Promise<Response>[] = [];
    for (let n = 0; n < 2 * MEMORY_MB; n += 1) {
      const begun = send(large, { isStream: true });
      streams.push(begun);
      await begun;
    }
    expect(countOf(await readAll(streams), 200)).toBe(2 * MEMORY_MB);
    for (const { body } of stack.upstream.requestsFor(large.model)) expect(body.length).toBeGreaterThan(MB);
  }, 30_000);
});

describe("large answers at once", () => {
  test("are refused beyond twice the room, and billed", async () => {
    const piece = "y".repeat(MB);
    const body = JSON.stringify({
      id: "c-1",
      object: "chat.completion",
      choices: [
        { index: 0, message: { role: "assistant", content: piece.repeat(4) }, finish_reason: "stop" },
      ],
    });
    // Most of each answer is there for a second before its end.
    const pieces = [body.slice(0, -1), "}"];
    const large = await withModel({ kind: "pieces", contentType: "application/json", paceMs: 1000, pieces });
    const told = await readAll(Array.from({ length: 6 }, () => send(large, { bytes: 100 })));
    expect(countOf(told, 200)).toBeGreaterThanOrEqual(1);
    expect(countOf(told, 503)).toBeGreaterThanOrEqual(1);
    expect(countOf(told, 200) + countOf(told, 503)).toBe(6);
    const again = await readAll([send(large, { bytes: 100 })]);
    expect(countOf(again, 200)).toBe(1);
  }, 30_000);
});
