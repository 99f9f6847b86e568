// A cached answer in the form the client wants.
import { describe, expect, test } from "vitest";
import { replay } from "../../../src/cache/replay.ts";
import { openAiChat } from "../../../src/wires/openai-chat/client-wire.ts";
import { fixtureJson, fixtureText, parseText } from "../../support/builders/wire-fixtures.ts";
import { chatOf, ENTRY } from "../../support/fakes/fake-kv.ts";

const BODY = { model: "m", messages: [{ role: "user", content: "Hi" }] };
const WHOLE = chatOf(BODY);
const STREAM = chatOf({ ...BODY, stream: true, stream_options: { include_usage: true } });

const storedStream = {
  ...ENTRY,
  form: "sse",
  contentType: "text/event-stream; charset=utf-8",
  body: fixtureText("openai/tools.sse"),
} as const;
const storedWhole = { ...ENTRY, body: fixtureText("openai/tools.json") };

describe("in the form it was stored in", () => {
  test("an entry is its own bytes and type", () => {
    expect(replay(storedWhole, openAiChat, WHOLE)).toEqual({
      body: storedWhole.body,
      contentType: "application/json",
    });
    expect(replay(storedStream, openAiChat, STREAM)).toEqual({
      body: storedStream.body,
      contentType: "text/event-stream; charset=utf-8",
    });
  });
});

describe("in the other form", () => {
  test("a stream becomes one body of the same content", () => {
    const replayed = replay(storedStream, openAiChat, WHOLE);
    expect(replayed?.contentType).toBe("application/json");
    expect(JSON.parse(replayed?.body ?? "")).toEqual(fixtureJson("openai/tools.json"));
  });

  test("one body becomes a stream of the same content", () => {
    const replayed = replay(storedWhole, openAiChat, STREAM);
    expect(replayed?.contentType).toBe("text/event-stream; charset=utf-8");
    expect(JSON.parse(openAiChat.wholeFromStream(parseText(replayed?.body ?? "")))).toEqual(
      fixtureJson("openai/tools.json"),
    );
  });

  test("a body that is no answer is no replay", () => {
    expect(replay({ ...storedWhole, body: "{" }, openAiChat, STREAM)).toBeUndefined();
    expect(replay({ ...storedStream, body: "data: {\n\n" }, openAiChat, WHOLE)).toBeUndefined();
  });
});
