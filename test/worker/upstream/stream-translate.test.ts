// Streams whose client speaks another wire than the upstream, in workerd: what the client is sent, how each way to end is reported,
// and that nothing is left running. The client speaks Anthropic's Messages, the upstream OpenAI's chat.
import { describe, expect, test } from "vitest";
import { anthropicMessages } from "../../../src/wires/anthropic/client-wire.ts";
import type { Generation } from "../../../src/pipeline/ports.ts";
import { createSseParser, type ServerSentEvent } from "../../../src/bytes/sse.ts";
import {
  createFakeGateway,
  spanNamed,
  spansNamed,
  type FakeGateway,
} from "../../support/fakes/fake-gateway.ts";
import { fakeBundle } from "../../support/fakes/fake-tenant.ts";
import type { FakeCall, FakeReply } from "../../support/fakes/fake-upstream.ts";

const BODY = {
  model: "a/gpt-4o-mini",
  max_tokens: 100,
  messages: [{ role: "user", content: "Hi" }],
  stream: true,
};
/** Longer than a read, shorter than a test. */
const IDLE_MS = 300;
const ROUTES = {
  r: {
    targets: [
      { provider: "a", model: "m" },
      { provider: "b", model: "m" },
    ],
    retries: { maxAttempts: 1 },
    timeouts: { idleMs: IDLE_MS },
  },
};

const chunk = (delta: object, reason: string | null = null): string =>
  `data: ${JSON.stringify({ id: "c1", model: "gpt", choices: [{ index: 0, delta, finish_reason: reason }] })}\n\n`;
const USAGE = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 2 } })}\n\n`;
const DONE = "data: [DONE]\n\n";
const HEAD = [chunk({ role: "assistant", content: "" }), chunk({ content: "Grüezi " })];
const WHOLE = [...HEAD, chunk({ content: "🚀" }), chunk({}, "stop"), USAGE, DONE];

type End = "close" | "break" | "silence";

/** A stream of these texts, a piece each; then it ends as told, or hears its abort. */
function upstream(texts: readonly string[], end: End = "close", seen: { aborted?: boolean } = {}): FakeReply {
  return ({ signal }: FakeCall) => {
    const encoder = new TextEncoder();
    const pieces = [...texts];
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const text = pieces.shift();
        if (text !== undefined) return controller.enqueue(encoder.encode(text));
        if (end === "break") throw new Error("reset");
        if (end === "silence") {
          const { promise, reject } = Promise.withResolvers<never>();
          signal.addEventListener("abort", () => {
            seen.aborted = true;
            reject(signal.reason);
          });
          await promise;
        }
        controller.close();
      },
      cancel() {
        seen.aborted = true;
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  };
}

function start(replies: readonly FakeReply[], model = "r", signal?: AbortSignal): FakeGateway {
  const request = { clientWire: anthropicMessages, body: { ...BODY, model } };
  const bundle = fakeBundle({ routes: ROUTES });
  return createFakeGateway({ bundle, request, replies, isRealTime: true, ...(signal && { signal }) });
}

function bodyOf({ body }: Generation): ReadableStream<Uint8Array> {
  if (typeof body === "string") throw new Error("a whole answer");
  return body;
}

async function read(generation: Generation): Promise<readonly ServerSentEvent[]> {
  const parser = createSseParser();
  const events: ServerSentEvent[] = [];
  for await (const bytes of bodyOf(generation)) events.push(...parser.push(bytes));
  return events;
}

const names = (events: readonly ServerSentEvent[]): readonly string[] => events.map(({ event }) => event);

function textOf(events: readonly ServerSentEvent[]): string {
  return events.map(({ data }) => JSON.parse(data).delta?.text ?? "").join("");
}

describe("a stream that ends well", () => {
  test("is said in the client's events, its end mark last", async () => {
    const gateway = start([upstream(WHOLE)]);
    const generation = await gateway.generate();
    expect(generation.contentType).toMatch(/^text\/event-stream/);
    const events = await read(generation);
    expect(textOf(events)).toBe("Grüezi 🚀");
    expect(names(events).at(0)).toBe("message_start");
    expect(names(events).slice(-2)).toEqual(["message_delta", "message_stop"]);
  });

  test("is one format span, with both wires' names, beside the attempt's own", async () => {
    const gateway = start([upstream(WHOLE)]);
    await read(await gateway.generate());
    const trace = await gateway.finish();
    const span = spanNamed(trace, "gateway.response.format");
    expect(span.attributes).toMatchObject({
      "gateway.dialect.client": "anthropic-messages",
      "gateway.dialect.upstream": "openai-chat",
    });
    expect(spanNamed(trace, "chat m").attributes).toMatchObject({
      "gateway.stream.outcome": "complete",
      "gen_ai.usage.input_tokens": 9,
      "gen_ai.usage.output_tokens": 2,
    });
    expect(gateway.facts.outcome).toBe("ok");
    expect(gateway.releases).toBe(1);
    expect(gateway.queue.heartbeats).toBe(0);
  });

  test("leaves event by event, not in one piece", async () => {
    const gate = Promise.withResolvers<void>();
    const reply: FakeReply = () => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      const send = (text: string): Promise<void> => writer.write(new TextEncoder().encode(text));
      void (async () => {
        await send(HEAD.join(""));
        await gate.promise;
        await send(WHOLE.slice(2).join(""));
        await writer.close();
      })();
      return new Response(readable);
    };
    const gateway = start([reply]);
    const reader = bodyOf(await gateway.generate()).getReader();
    const { value } = await reader.read();
    expect(new TextDecoder().decode(value)).toContain("Grüezi");
    gate.resolve();
    while (!(await reader.read()).done);
    await gateway.finish();
    expect(gateway.facts.outcome).toBe("ok");
  });

  test("is over at the upstream's end mark, though its connection stays open", async () => {
    const gateway = start([upstream(WHOLE, "silence")]);
    const events = await read(await gateway.generate());
    expect(names(events).at(-1)).toBe("message_stop");
    await gateway.finish();
    expect(gateway.facts.outcome).toBe("ok");
  });
});

describe("before the first event", () => {
  test.each([
    ["an error event", ['data: {"error":{"type":"server_error"}}\n\n']],
    ["an event that is not JSON", ["data: {nope\n\n"]],
    ["nothing at all", []],
  ])("%s lets the next target answer", async (_, texts) => {
    const gateway = start([upstream(texts), upstream(WHOLE)]);
    expect(textOf(await read(await gateway.generate()))).toBe("Grüezi 🚀");
    const trace = await gateway.finish();
    expect(spansNamed(trace, "chat m")).toHaveLength(2);
    expect(spansNamed(trace, "gateway.response.format")).toHaveLength(1);
  });
});

describe("after the first event", () => {
  const FAULTS: readonly (readonly [string, FakeReply, string, string])[] = [
    ["a cut", upstream(HEAD), "cut", "upstream_error"],
    ["a broken connection", upstream(HEAD, "break"), "cut", "upstream_error"],
    ["silence", upstream(HEAD, "silence"), "stalled", "upstream_timeout"],
    [
      "an error event",
      upstream([...HEAD, 'data: {"error":{"type":"server_error"}}\n\n']),
      "upstream_error",
      "upstream_error",
    ],
    [
      "an event that is not JSON",
      upstream([...HEAD, "data: {nope\n\n", ...WHOLE.slice(2)]),
      "upstream_error",
      "upstream_malformed",
    ],
  ];

  test.each(FAULTS)(
    "%s is an error event in the client's dialect, and no end mark",
    async (_, reply, outcome, code) => {
      const gateway = start([reply]);
      const events = await read(await gateway.generate());
      expect(textOf(events)).toBe("Grüezi ");
      expect(names(events).at(-1)).toBe("error");
      expect(names(events)).not.toContain("message_stop");
      expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({
        type: "error",
        error: { message: expect.any(String) },
      });
      const trace = await gateway.finish();
      expect(spanNamed(trace, "chat m").attributes).toMatchObject({
        "gateway.stream.outcome": outcome,
        "gateway.attempt.outcome": code,
      });
      expect(gateway.facts.outcome).toBe("upstream_error");
      expect(gateway.releases).toBe(1);
    },
  );
});

describe("a client that leaves", () => {
  test("while the upstream is silent: the upstream is aborted at once", async () => {
    const seen: { aborted?: boolean } = {};
    const gateway = start([upstream(HEAD, "silence", seen)]);
    const reader = bodyOf(await gateway.generate()).getReader();
    await reader.read();
    const leftAt = Date.now();
    await reader.cancel();
    const trace = await gateway.finish();
    expect(Date.now() - leftAt).toBeLessThan(IDLE_MS);
    expect(seen.aborted).toBe(true);
    expect(gateway.facts.outcome).toBe("client_disconnected");
    expect(spanNamed(trace, "chat m").attributes).toMatchObject({
      "gateway.attempt.outcome": "client_disconnected",
    });
    expect(gateway.queue.settlements).toMatchObject([{ outcome: "client_disconnected" }]);
  });

  test("by its signal: the upstream is aborted as well", async () => {
    const seen: { aborted?: boolean } = {};
    const client = new AbortController();
    const gateway = start([upstream(HEAD, "silence", seen)], "r", client.signal);
    await bodyOf(await gateway.generate())
      .getReader()
      .read();
    client.abort();
    await gateway.finish();
    expect(seen.aborted).toBe(true);
    expect(gateway.facts.outcome).toBe("client_disconnected");
  });
});
