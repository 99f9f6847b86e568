// A stream on its way to the client, in the runtime whose tee and pipes carry it: how it begins and how it goes well. How it fails is
// stream-faults.test.ts.
import { describe, expect, test } from "vitest";
import { textTokens } from "../../../src/pricing/estimate/text-tokens.ts";
import {
  ANSWER,
  createFakeStream,
  END,
  faultOf,
  readAll,
  type SourceKind,
  type SourceScript,
  textEvent,
  USAGE_EVENT,
} from "../../support/fakes/fake-stream.ts";

const KINDS: readonly SourceKind[] = ["native", "script"];
const BYTES = new TextEncoder().encode(ANSWER);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Sends these one by one and ends. */
const sending =
  (...parts: readonly (string | Uint8Array)[]): SourceScript =>
  async (source) => {
    for (const part of parts) await source.send(part);
    await source.end();
  };

function pieces(size: number): readonly Uint8Array[] {
  const count = Math.ceil(BYTES.length / size);
  return Array.from({ length: count }, (_, at) => BYTES.slice(at * size, (at + 1) * size));
}

describe.each(KINDS)("a %s stream that goes well", (kind) => {
  test.each([1, 7, BYTES.length])("in pieces of %i bytes reaches the client byte for byte", async (size) => {
    const stream = await createFakeStream(sending(...pieces(size)), { kind });
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(ANSWER);
    const report = await done;
    expect(report).toMatchObject({ outcome: "complete", events: 5, bytes: BYTES.length });
    expect(report.error).toBeUndefined();
    expect(stream.events.map(({ data }) => data).join("")).toContain("😀");
    expect(stream.summary()).toEqual({
      id: "c-1",
      model: "m-1",
      finishReasons: ["stop"],
      usage: { inputTokens: 10, outputTokens: 20 },
      hasToolCalls: false,
      isRefusal: false,
      writtenTokens: expect.closeTo(textTokens("Hé€llo 😀")),
    });
  });

  test.each([textEvent("", "stop"), USAGE_EVENT, END])(
    "and leaves out the blank line behind its last event is complete, and the client gets the line",
    async (last) => {
      const text = `${textEvent("Hi")}${last === USAGE_EVENT ? textEvent("", "stop") : ""}${last}`.trimEnd();
      const stream = await createFakeStream(sending(text), { kind });
      const { body, done } = await stream.start();
      expect(await readAll(body)).toBe(`${text}\n\n`);
      const report = await done;
      expect(report.error).toBeUndefined();
      expect(report.outcome).toBe("complete");
      if (last !== END) expect(stream.summary().finishReasons).toEqual(["stop"]);
      if (last === USAGE_EVENT) expect(stream.summary().usage).toEqual({ inputTokens: 10, outputTokens: 20 });
    },
  );

  test("shows the client each event while the upstream still works", async () => {
    const [first, second] = [textEvent("first"), textEvent("second", "stop")];
    let seen = 0;
    const stream = await createFakeStream(
      async (source) => {
        await source.send(first);
        await source.until(() => seen === 1);
        await source.send(second);
        await source.until(() => seen === 2);
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const reader = body.getReader();
    for (const event of [first, second]) {
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(event);
      seen++;
    }
    expect((await reader.read()).done).toBe(true);
    expect(await done).toMatchObject({ outcome: "complete", events: 2 });
  });

  test("without [DONE] is complete where each choice has ended", async () => {
    const text = textEvent("a", null, 0) + textEvent("b", "stop", 1) + textEvent("", "length", 0);
    const stream = await createFakeStream(sending(text), { kind });
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(text);
    expect(await done).toMatchObject({ outcome: "complete" });
  });

  test("reaches a slow client whole", async () => {
    const events = Array.from({ length: 40 }, (_, at) => textEvent(`${at} `.repeat(500)));
    const all = [...events, textEvent("", "stop"), END];
    const stream = await createFakeStream(sending(...all), { kind });
    const { body, done } = await stream.start();
    const reader = body.getReader();
    const decoder = new TextDecoder();
    let text = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      text += decoder.decode(read.value, { stream: true });
      // A pause each: the upstream is long done when the client is half-way.
      await pause(5);
    }
    expect(text).toBe(all.join(""));
    expect(await done).toMatchObject({ outcome: "complete", events: 42 });
  });

  test("is complete once the end mark has come, though the upstream then breaks the connection", async () => {
    const text = textEvent("Hi", "stop") + USAGE_EVENT + END;
    let hasAll = false;
    const stream = await createFakeStream(
      async (source) => {
        await source.send(text);
        await source.until(() => hasAll);
        await source.cut();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const reader = body.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(text);
    hasAll = true;
    // Nothing may follow the end mark.
    expect((await reader.read()).done).toBe(true);
    expect(await done).toMatchObject({ outcome: "complete" });
  });

  test("is complete once the end mark has come, though the upstream then holds the connection", async () => {
    const text = textEvent("Hi", "stop") + USAGE_EVENT + END;
    const stream = await createFakeStream((source) => source.send(text), { kind, limits: { idleMs: 60 } });
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(text);
    expect(await done).toMatchObject({ outcome: "complete" });
  });

  test("leaves no time limit running", async () => {
    const limits = { firstByteMs: 700, idleMs: 700, totalMs: 700 };
    const stream = await createFakeStream(sending(ANSWER), { kind, limits });
    const { body, done } = await stream.start();
    await readAll(body);
    await done;
    await pause(750);
    expect(stream.attempt.abortedBy()).toBeUndefined();
    expect(stream.isStopped()).toBe(false);
  });
});

describe.each(KINDS)("the first event of a %s stream", (kind) => {
  test("decides: an error in its place is thrown, so that another target can answer", async () => {
    const event = `data: {"error":{"message":"secret words","type":"server_error"}}\n\n`;
    const stream = await createFakeStream((source) => source.send(event), { kind });
    const fault = await faultOf(stream.open());
    expect(fault).toMatchObject({ code: "upstream_error", canFallBack: true });
    expect(fault.message).not.toContain("secret");
  });

  test("that is not JSON is thrown as malformed, and the upstream is stopped", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send("data: <html>\n\n");
        for (let at = 0; at < 100; at += 1) {
          await source.pause(5);
          await source.send(": more\n\n");
        }
      },
      { kind },
    );
    expect(await faultOf(stream.open())).toMatchObject({ code: "upstream_malformed", canFallBack: true });
    await expect.poll(stream.isStopped).toBe(true);
  });

  test("may be long in coming behind comments", async () => {
    const stream = await createFakeStream(sending(": ping\n\n", ": ping\n\n", ANSWER), { kind });
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(`: ping\n\n: ping\n\n${ANSWER}`);
    expect((await done).outcome).toBe("complete");
  });

  test.each([
    ["nothing at all", []],
    ["comments only", [": ping\n\n: ping\n\n"]],
    ["a whole answer in place of a stream", ['{"id":"c-1","choices":[]}']],
    ["half an event", ['data: {"id":']],
  ])("missing behind %s makes an empty stream, which another target may better", async (_, parts) => {
    const stream = await createFakeStream(sending(...parts), { kind });
    const fault = await faultOf(stream.open());
    expect(fault).toMatchObject({ code: "upstream_malformed", canFallBack: true });
    expect(fault.message).toContain("'up'");
  });

  test("missing because the connection broke is called that, not a silence", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(": ping\n\n");
        await source.pause(10);
        await source.cut();
      },
      { kind },
    );
    const fault = await faultOf(stream.open());
    expect(fault).toMatchObject({ code: "upstream_error", message: "The connection to 'up' failed." });
  });

  test("missing for too long is a timeout that names the first byte", async () => {
    const stream = await createFakeStream(async () => {}, { kind, limits: { firstByteMs: 60 } });
    const fault = await faultOf(stream.open());
    expect(fault).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("(first-byte timeout)"),
    });
  });

  test.each([": ping\n\n", "\n", " "])(
    "may come late, while bytes like %j keep the stream alive",
    async (bytes) => {
      const stream = await createFakeStream(
        async (source) => {
          for (let sent = 0; sent < 8; sent += 1) {
            await source.send(bytes);
            await source.pause(100);
          }
          await source.send(`\n\n${textEvent("Hi", "stop")}${END}`);
          await source.end();
        },
        { kind, limits: { firstByteMs: 500, idleMs: 700 } },
      );
      const { body, done } = await stream.start();
      expect(await readAll(body)).toContain("[DONE]");
      expect((await done).outcome).toBe("complete");
    },
  );

  test("missing behind comments that cease is an idle timeout", async () => {
    const stream = await createFakeStream((source) => source.send(": ping\n\n"), {
      kind,
      limits: { idleMs: 60 },
    });
    expect(await faultOf(stream.open())).toMatchObject({
      code: "upstream_timeout",
      message: "'up' sent no data for 0.06 s (idle timeout).",
    });
  });

  test("missing when the client leaves is the client's leave", async () => {
    const client = new AbortController();
    const stream = await createFakeStream((source) => source.send(": ping\n\n"), {
      kind,
      client: client.signal,
    });
    const opening = stream.open();
    client.abort();
    expect(await faultOf(opening)).toMatchObject({ code: "client_disconnected", canFallBack: false });
  });

  test("once there ends the time for the first byte", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(textEvent("Hi"));
        await source.pause(700);
        await source.send(textEvent("!", "stop") + END);
        await source.end();
      },
      { kind, limits: { firstByteMs: 500 } },
    );
    const { body, done } = await stream.start();
    expect(await readAll(body)).toContain("[DONE]");
    expect((await done).outcome).toBe("complete");
  });
});
