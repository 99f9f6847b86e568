// Reported: a client that said `include_usage: false` got the usage chunk all the same, live and from the cache.
import { describe, expect, test } from "vitest";
import { formatEvent } from "../../../../src/bytes/sse.ts";
import { replay } from "../../../../src/cache/replay.ts";
import { openAiChat } from "../../../../src/wires/openai-chat/client-wire.ts";

const chunk = (choices: readonly object[], more: object = {}): string =>
  formatEvent(
    JSON.stringify({ id: "c1", object: "chat.completion.chunk", created: 1, model: "m1", choices, ...more }),
  );
const KEPT = [
  ": a comment\n\n",
  chunk([{ index: 0, delta: { content: 'say "usage" ü' }, finish_reason: null }], {
    usage: null,
    vendor_field: 1,
  }),
  chunk([{ index: 0, delta: {}, finish_reason: "stop" }]),
];
const USAGE = chunk([], { usage: { prompt_tokens: 10, completion_tokens: 3, total_tokens: 13 } });
const DONE = "data: [DONE]\n\n";
const STREAM = KEPT.join("") + USAGE + DONE;

function chatOf(options: object | undefined) {
  const body = {
    model: "r",
    stream: true,
    messages: [{ role: "user", content: "hi" }],
    ...(options && { stream_options: options }),
  };
  return openAiChat.parseRequest(JSON.stringify(body));
}

describe("a forwarded stream", () => {
  test.each([1, 7, 10_000])(
    "has no usage chunk where the client said no, in pieces of %i bytes",
    async (size) => {
      const bytes = new TextEncoder().encode(STREAM);
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
          controller.close();
        },
      });
      const filter = openAiChat.streamFilter?.(chatOf({ include_usage: false }));
      if (filter === undefined) throw new Error("nothing is filtered");
      expect(await new Response(body.pipeThrough(filter)).text()).toBe(KEPT.join("") + DONE);
    },
  );

  test.each([undefined, { include_usage: true }, {}])(
    "is left as it is where the client said %j",
    (options) => {
      expect(openAiChat.streamFilter?.(chatOf(options))).toBeUndefined();
    },
  );
});

test.each([
  [{ include_usage: false }, false],
  [{ include_usage: true }, true],
  [undefined, true],
])("a stored stream, for a client that said %j", (options, hasUsage) => {
  const chat = chatOf(options);
  const entry = { form: "sse", contentType: "text/event-stream", body: STREAM } as const;
  // The other fields of an entry aren't read.
  const replayed = replay(entry as Parameters<typeof replay>[0], openAiChat, chat);
  expect(replayed?.body.includes('"prompt_tokens"')).toBe(hasUsage);
  expect(replayed?.body).toContain("[DONE]");
});
