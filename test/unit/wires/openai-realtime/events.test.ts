/** Realtime events as far as they are read: usage added up over responses, and nothing that a stranger sends breaks it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createSessionReader,
  readRealtimeUsage,
  realtimeErrorEvent,
} from "../../../../src/wires/openai-realtime/events.ts";
import { GatewayError } from "../../../../src/errors.ts";

const USAGE = {
  total_tokens: 275,
  input_tokens: 127,
  output_tokens: 148,
  input_token_details: {
    text_tokens: 119,
    audio_tokens: 8,
    cached_tokens: 64,
    cached_tokens_details: { text_tokens: 60, audio_tokens: 4 },
  },
  output_token_details: { text_tokens: 36, audio_tokens: 112 },
};

const done = (usage: unknown, status = "completed") => ({
  type: "response.done",
  event_id: "event_1",
  response: { id: "resp_1", status, output: [], usage },
});

function summaryOf(...frames: readonly unknown[]) {
  const reader = createSessionReader();
  for (const frame of frames) reader.read(typeof frame === "string" ? frame : JSON.stringify(frame));
  return reader.summary();
}

describe("a session's summary", () => {
  it("adds up what its responses used, by kind of token", () => {
    expect(summaryOf(done(USAGE), done(USAGE, "cancelled"), done(USAGE, "failed"))).toEqual({
      usage: {
        inputTokens: 381,
        outputTokens: 444,
        cacheReadTokens: 192,
        inputAudioTokens: 24,
        cacheReadAudioTokens: 12,
        outputAudioTokens: 336,
      },
      responses: 3,
      failedResponses: 1,
      errors: 0,
    });
  });

  it("takes counts without their kinds, and a response without a count", () => {
    const { usage, responses } = summaryOf(
      done({ input_tokens: 5, output_tokens: 1 }),
      done(null),
      done(USAGE),
    );
    expect(responses).toBe(3);
    expect(usage).toMatchObject({ inputTokens: 132, outputTokens: 149, outputAudioTokens: 112 });
    expect(summaryOf(done(undefined))).not.toHaveProperty("usage");
  });

  it("has the session's id and the model it has now", () => {
    const created = { type: "session.created", session: { id: "sess_1", model: "gpt-realtime" } };
    const updated = { type: "session.updated", session: { id: "sess_1", model: "gpt-realtime-mini" } };
    expect(summaryOf(created, updated)).toMatchObject({ id: "sess_1", model: "gpt-realtime-mini" });
  });

  it("counts error events", () => {
    expect(summaryOf({ type: "error", error: { type: "invalid_request_error" } }).errors).toBe(1);
  });

  it.each([
    ["behind its id", '{"event_id":"e","type":"response.done","response":{}}'],
    ["at its end", '{"response":{"output":[{"type":"message"}]},"type":"response.done"}'],
    ["after spaces and lines", '\n{ "type" : "response.done", "response": {} }'],
    ["behind a very long id", `{"event_id":"${"e".repeat(500)}","type":"response.done","response":{}}`],
  ])("knows an event with its type %s", (_, frame) => {
    expect(summaryOf(frame).responses).toBe(1);
  });

  it.each([
    ["says the word in a text", { type: "response.output_text.delta", delta: '"response.done" "error"' }],
    [
      "holds such an object",
      { type: "conversation.item.added", item: { type: "response.done", usage: USAGE } },
    ],
    ["holds such an object before its type", { item: { type: "response.done" }, type: "x" }],
  ])("is not misled by an event that %s", (_, event) => {
    expect(summaryOf(event)).toEqual({ responses: 0, failedResponses: 0, errors: 0 });
  });

  it("stands whatever is sent", () => {
    const event = fc.record({ type: fc.constantFrom("response.done", "error", "session.created", 5) });
    const any = fc
      .tuple(event, fc.jsonValue())
      .map(([known, response]) => ({ ...known, response, session: response }));
    fc.assert(
      fc.property(fc.array(fc.oneof(any, fc.string(), fc.jsonValue())), (frames) => {
        const { responses, usage } = summaryOf(...frames);
        expect(responses).toBeLessThanOrEqual(frames.length);
        for (const count of Object.values(usage ?? {})) expect(count).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

it.each([undefined, null, {}, [], 5, { input_tokens: "3" }, { input_tokens: -1 }, { total_tokens: 5 }])(
  "%j is no usage",
  (usage) => {
    expect(readRealtimeUsage(usage)).toBeUndefined();
  },
);

it("a fault has the form of the upstream's own error events", () => {
  const error = new GatewayError("upstream_error", "The connection to 'up' failed.");
  expect(JSON.parse(realtimeErrorEvent(error, "req_1"))).toEqual({
    type: "error",
    event_id: "event_req_1",
    error: {
      type: "api_error",
      code: "upstream_error",
      message: "The connection to 'up' failed.",
      param: null,
      event_id: null,
    },
  });
});
