// What an upstream may send, through HTTP: bodies and events of any size, however they are compressed, and streams that are written
// in unusual but lawful ways.
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chat, spansOf } from "../support/clients/chat-client.ts";
import { makeTenant } from "../support/clients/test-tenant.ts";
import { startGatewayStack, uniqueModel, type GatewayStack } from "../support/servers/gateway-stack.ts";
import type { Reply } from "../support/servers/upstream-replies.ts";

const MB = 1024 * 1024;
const ONCE = { maxAttempts: 1 };

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack();
});
afterAll(() => stack.close());

interface Scripted {
  readonly key: string;
  readonly model: string;
}

async function withTarget(reply: Reply, options: object = {}, route: object = {}): Promise<Scripted> {
  const model = uniqueModel();
  stack.upstream.script(model, reply);
  const routes = { r: { targets: [{ provider: "up", model }], retries: ONCE, ...route } };
  const { key } = await makeTenant(stack.gateway, { upstreamUrl: stack.upstream.url, routes, ...options });
  return { key, model };
}

const chunk = (content: string, finishReason: string | null = null): object => ({
  id: "c-1",
  object: "chat.completion.chunk",
  created: 1,
  model: "m",
  choices: [{ index: 0, delta: { content }, finish_reason: finishReason }],
});
const USAGE = { ...chunk(""), choices: [], usage: { prompt_tokens: 7, completion_tokens: 3 } };
const event = (data: object): string => `data: ${JSON.stringify(data)}\n\n`;

describe("an answer above the limit is stopped where it is", () => {
  const spaces = Buffer.alloc(80 * MB, 0x20);

  test("whole, compressed to a thousandth", async () => {
    const body = gzipSync(spaces);
    expect(body.length).toBeLessThan(MB);
    const headers = { "content-encoding": "gzip" };
    const { key } = await withTarget({
      kind: "pieces",
      contentType: "application/json",
      headers,
      pieces: [body],
    });
    const answer = await chat(stack, key, { model: "r" });
    expect(answer).toMatchObject({ status: 502, error: "upstream_malformed" });
    expect(answer.text).toContain("more than 64 MB");
  });

  test("whole, as it is", async () => {
    const { key, model } = await withTarget({
      kind: "pieces",
      contentType: "application/json",
      pieces: [spaces],
    });
    expect(await chat(stack, key, { model: "r" })).toMatchObject({
      status: 502,
      error: "upstream_malformed",
    });
    await expect.poll(() => stack.upstream.requestsFor(model)[0]?.outcome).toBe("client_closed");
  });

  test("one event of a stream", async () => {
    const pieces = [event(chunk("Hi")), "data: ", Buffer.alloc(10 * MB, 0x78), "\n\n"];
    const { key } = await withTarget({ kind: "pieces", pieces });
    const answer = await chat(stack, key, { model: "r", stream: true });
    expect(answer.error).toBe("upstream_malformed");
    expect(answer.text).not.toContain("[DONE]");
  });
});

describe("what is large and allowed", () => {
  test("an event of 6 MB arrives whole and fast, and its usage is counted", async () => {
    const large = "x".repeat(6 * MB);
    const pieces = [event(chunk("Hi")), event(chunk(large, "stop")), event(USAGE), "data: [DONE]\n\n"];
    const { key } = await withTarget({ kind: "pieces", pieces });
    const startedAt = Date.now();
    const answer = await chat(stack, key, { model: "r", stream: true });
    expect(answer.content).toBe(`Hi${large}`);
    const spans = await spansOf(stack, answer);
    // The side that reads along keeps up with the client's.
    expect(Date.now() - startedAt).toBeLessThan(10_000);
    expect(rootUsage(spans)).toEqual([7, 3]);
  });

  test("an error's body is read for its first 64 KB and not waited for", async () => {
    const text = JSON.stringify({ error: { message: "no such model" } });
    const pieces = [text.padEnd(200 * 1024), Buffer.alloc(60 * MB, 0x20)];
    const { key, model } = await withTarget({
      kind: "pieces",
      status: 400,
      contentType: "application/json",
      pieces,
    });
    const answer = await chat(stack, key, { model: "r" });
    expect(answer).toMatchObject({ status: 400, error: "upstream_rejected" });
    expect(answer.text).toContain("no such model");
    await expect.poll(() => stack.upstream.requestsFor(model)[0]?.outcome).toBe("client_closed");
  });

  test("an error whose body never ends keeps its status", async () => {
    const pieces = ['{"error":'];
    const reply: Reply = {
      kind: "pieces",
      status: 429,
      contentType: "application/json",
      pieces,
      end: "stall",
    };
    const { key } = await withTarget(reply, {}, { timeouts: { idleMs: 200 } });
    expect(await chat(stack, key, { model: "r" })).toMatchObject({
      status: 429,
      error: "upstream_rate_limited",
    });
  });
});

describe("a lawful stream", () => {
  const pretty = (data: object): string =>
    JSON.stringify(data, null, 1)
      .split("\n")
      .map((line) => `data: ${line}\n`)
      .join("")
      .concat("\n");

  test.each<[string, (data: object) => string]>([
    ["over several data lines", pretty],
    ["with CRLF", (data) => pretty(data).replaceAll("\n", "\r\n")],
  ])("%s is the same from the cache as from the upstream", async (_, write) => {
    const pieces = [write(chunk("one ")), write(chunk("two", "stop")), write(USAGE), "data: [DONE]\n\n"];
    const { key, model } = await withTarget({ kind: "pieces", pieces }, { cache: { enabled: true } });
    const miss = await chat(stack, key, { model: "r", stream: true });
    expect(miss.headers.get("x-headgate-cache")).toBe("MISS");
    await spansOf(stack, miss);
    const hit = await chat(stack, key, { model: "r", stream: true });
    expect(hit.headers.get("x-headgate-cache")).toBe("HIT");
    expect(jsonOf(hit.text)).toEqual(jsonOf(miss.text));
    expect(stack.upstream.requestsFor(model)).toHaveLength(1);
  });

  test.each<[string, readonly string[]]>([
    ["its finish reason", [event(chunk("one ")), event(chunk("two", "stop"))]],
    ["its usage", [event(chunk("one ")), event(chunk("two", "stop")), event(USAGE)]],
    ["its end mark", [event(chunk("one two", "stop")), event(USAGE), "data: [DONE]\n\n"]],
  ])("without a blank line behind %s is complete", async (_, events) => {
    const last = events.at(-1) ?? "";
    const { key } = await withTarget({ kind: "pieces", pieces: [...events.slice(0, -1), last.trimEnd()] });
    const answer = await chat(stack, key, { model: "r", stream: true });
    expect(answer).toMatchObject({ status: 200, error: undefined, content: "one two" });
    expect(answer.text.endsWith("\n\n")).toBe(true);
    const spans = await spansOf(stack, answer);
    const root = spans.find(({ parentSpanId }) => parentSpanId === undefined);
    expect(root?.attributes).toMatchObject({ "gateway.outcome": "ok", "gateway.stream.outcome": "complete" });
    if (events.length === 3) expect(rootUsage(spans)).toEqual([7, 3]);
  });
});

describe("an upstream that answers in the other form", () => {
  const COMPLETION = {
    id: "c-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "one two" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
  };
  const json = (body: object): Reply => ({ kind: "raw", body: JSON.stringify(body) });
  const EVENTS = [event(chunk("one ")), event(chunk("two", "stop")), event(USAGE), "data: [DONE]\n\n"];

  test("with an error in JSON where a stream was asked for is reported in its own words", async () => {
    const error = { message: "quota used up", type: "insufficient_quota", code: 429 };
    const { key } = await withTarget(json({ error }));
    const answers = [];
    for (const stream of [true, false]) answers.push(await chat(stack, key, { model: "r", stream }));
    for (const answer of answers) expect(answer).toMatchObject({ status: 502, error: "upstream_error" });
    const [streamed, whole] = answers.map(({ text }) => text.replaceAll(/"req[^"]*"/g, ""));
    expect(streamed).toBe(whole);
  });

  test("with a whole answer where a stream was asked for is streamed, and counted", async () => {
    const { key } = await withTarget(json(COMPLETION));
    const answer = await chat(stack, key, { model: "r", stream: true });
    expect(answer).toMatchObject({ status: 200, error: undefined, content: "one two" });
    expect(answer.headers.get("content-type")).toContain("text/event-stream");
    expect(answer.text).toContain("data: [DONE]");
    expect(rootUsage(await spansOf(stack, answer))).toEqual([7, 3]);
  });

  test("with a stream where a whole answer was asked for is whole, and counted", async () => {
    const { key } = await withTarget({ kind: "pieces", pieces: EVENTS });
    const answer = await chat(stack, key, { model: "r" });
    expect(answer).toMatchObject({ status: 200, error: undefined, content: "one two" });
    expect(answer.headers.get("content-type")).toContain("application/json");
    expect(rootUsage(await spansOf(stack, answer))).toEqual([7, 3]);
  });

  test("with a stream that is cut where a whole answer was asked for is a fault of its", async () => {
    const { key } = await withTarget({ kind: "pieces", pieces: EVENTS.slice(0, 1) });
    expect(await chat(stack, key, { model: "r" })).toMatchObject({ status: 502, error: "upstream_error" });
  });

  test.each([true, false])("is translated as any other (stream: %s)", async (stream) => {
    const reply: Reply = stream ? json(COMPLETION) : { kind: "pieces", pieces: EVENTS };
    const { key } = await withTarget(reply);
    const response = await fetch(`${stack.gateway.url}/v1/messages`, {
      method: "POST",
      headers: { "x-api-key": key, "content-type": "application/json" },
      body: JSON.stringify({
        model: "r",
        max_tokens: 50,
        stream,
        messages: [{ role: "user", content: "Hi" }],
      }),
    });
    const text = await response.text();
    expect(response.status, text).toBe(200);
    expect(text).toContain("one two");
    expect(text.includes("event: message_stop")).toBe(stream);
  });
});

function rootUsage(spans: Awaited<ReturnType<typeof spansOf>>): readonly unknown[] {
  const attempt = spans.find(({ attributes }) => attributes["gateway.attempt.number"] === 1);
  return ["input", "output"].map((side) => Number(attempt?.attributes[`gen_ai.usage.${side}_tokens`]));
}

/** The events' data, whatever lines they were written in. */
function jsonOf(text: string): readonly unknown[] {
  return text
    .replaceAll("\r\n", "\n")
    .split("\n\n")
    .map((lines) => lines.split("\n").map((line) => line.replace(/^data: ?/, "")))
    .map((lines) => lines.join("\n"))
    .filter((data) => data !== "" && data !== "[DONE]")
    .map((data) => JSON.parse(data));
}
