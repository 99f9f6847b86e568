// A stream that fails after its first byte, or whose client leaves: what the client is sent, what the report says, and that the
// upstream is not left running.
import { describe, expect, test } from "vitest";
import {
  ANSWER,
  createFakeStream,
  END,
  readAll,
  type SourceKind,
  type SourceScript,
  textEvent,
} from "../../support/fakes/fake-stream.ts";

const KINDS: readonly SourceKind[] = ["native", "script"];
const HELLO = textEvent("Hello");
/** From the client's leave to the end of the upstream; several times the code's own 100 ms, for a busy machine. */
const LEAVE_MS = 600;

const endless: SourceScript = async (source) => {
  for (let at = 0; at < 2000; at += 1) {
    await source.send(textEvent(`${at}`));
    await source.pause(5);
  }
};

/** The error event at the end of what a client got, and all before it. */
function splitError(text: string): { readonly before: string; readonly error: unknown } {
  const at = text.lastIndexOf("data: ");
  const { error } = JSON.parse(text.slice(at + "data: ".length)) as { readonly error: unknown };
  return { before: text.slice(0, at), error };
}

describe.each(KINDS)("a %s stream that fails after its first byte", (kind) => {
  test("by ending too early is closed by an error event, without an end mark", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const text = await readAll(body);
    const { before, error } = splitError(text);
    expect(before).toBe(HELLO);
    expect(error).toMatchObject({
      code: "upstream_error",
      type: "api_error",
      message: expect.stringContaining("'up'"),
    });
    expect(text).toMatch(/\}\n\n$/);
    expect(text).not.toContain("[DONE]");
    expect(await done).toMatchObject({ outcome: "cut", events: 1, error: { code: "upstream_error" } });
  });

  test("with one of its two choices unfinished is cut, though the other one ended", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(textEvent("a", null, 0) + textEvent("b", null, 1) + textEvent("", "stop", 0));
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    expect(splitError(await readAll(body)).error).toMatchObject({ code: "upstream_error" });
    expect((await done).outcome).toBe("cut");
  });

  test("by a broken connection between two events is closed by an error event", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.pause(20);
        await source.cut();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const { before, error } = splitError(await readAll(body));
    expect(before).toBe(HELLO);
    expect(error).toMatchObject({ code: "upstream_error", message: "The connection to 'up' failed." });
    expect((await done).outcome).toBe("cut");
  });

  test("by a broken connection inside an event puts the error on a line of its own", async () => {
    const half = 'data: {"id":"c-1","choi';
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO + half);
        await source.pause(20);
        await source.cut();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const { before, error } = splitError(await readAll(body));
    expect(before).toBe(`${HELLO}${half}\n\n`);
    expect(error).toMatchObject({ code: "upstream_error" });
    expect(await done).toMatchObject({ outcome: "cut", events: 1 });
  });

  test("by an event above the limit is closed by an error event, and its upstream is stopped", async () => {
    const piece = "x".repeat(65_536);
    const stream = await createFakeStream(
      async (source) => {
        await source.send(`${HELLO}data: `);
        for (let sent = 0; sent < 1000; sent += 1) {
          await source.send(piece);
          if (sent > 100) await source.pause(2);
        }
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const { before, error } = splitError(await readAll(body));
    expect(error).toMatchObject({ code: "upstream_malformed" });
    expect(before.endsWith("\n\n")).toBe(true);
    expect(await done).toMatchObject({ outcome: "upstream_error", error: { code: "upstream_malformed" } });
    await expect.poll(stream.isStopped).toBe(true);
  });

  test("by falling silent is closed after the idle time, and its upstream is stopped", async () => {
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.until(() => false);
      },
      { kind, limits: { idleMs: 80 } },
    );
    const { body, done } = await stream.start();
    const { before, error } = splitError(await readAll(body));
    expect(before).toBe(HELLO);
    expect(error).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("(idle timeout)"),
    });
    expect(await done).toMatchObject({ outcome: "stalled", error: { code: "upstream_timeout" } });
    expect(stream.attempt.abortedBy()).toBe("idle");
  });

  test("by going on beyond the request's time is closed then", async () => {
    const stream = await createFakeStream(endless, { kind, limits: { totalMs: 400, idleMs: 200 } });
    const { body, done } = await stream.start();
    const { error } = splitError(await readAll(body));
    expect(error).toMatchObject({
      code: "upstream_timeout",
      message: expect.stringContaining("total time limit"),
    });
    expect((await done).outcome).toBe("stalled");
    await expect.poll(stream.isStopped).toBe(true);
  });

  test("by the upstream's own error event is not told twice", async () => {
    const text = `${HELLO}data: {"error":{"message":"out of memory","type":"server_error"}}\n\n`;
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.pause(20);
        await source.send(text.slice(HELLO.length));
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(text);
    const report = await done;
    expect(report).toMatchObject({ outcome: "upstream_error", error: { code: "upstream_error" } });
    expect(report.error?.message).not.toContain("memory");
  });

  test("by an event that is none lets it pass and says so at the end", async () => {
    const broken = "data: {oops\n\n";
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.pause(20);
        await source.send(broken);
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const { before, error } = splitError(await readAll(body));
    expect(before).toBe(HELLO + broken);
    expect(error).toMatchObject({ code: "upstream_malformed" });
    expect((await done).outcome).toBe("upstream_error");
  });

  test("by an event that is none, and goes on to its end mark, adds nothing behind that", async () => {
    const rest = `data: {oops\n\n${textEvent("more", "stop")}data: {oops\n\n${END}`;
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.pause(20);
        await source.send(rest);
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    expect(await readAll(body)).toBe(HELLO + rest);
    expect(await done).toMatchObject({ outcome: "upstream_error", error: { code: "upstream_malformed" } });
  });
});

describe.each(KINDS)("a client of a %s stream who leaves", (kind) => {
  test("while the upstream writes: the upstream is stopped at once, and the report says who left", async () => {
    const stream = await createFakeStream(endless, { kind });
    const { body, done } = await stream.start();
    const reader = body.getReader();
    await reader.read();
    await reader.read();
    const leftAt = Date.now();
    await reader.cancel();
    const report = await done;
    expect(Date.now() - leftAt).toBeLessThan(LEAVE_MS);
    expect(report.outcome).toBe("client_disconnected");
    expect(report.error).toBeUndefined();
    expect(report.events).toBeGreaterThanOrEqual(2);
    expect(stream.attempt.abortedBy()).toBe("client");
    await expect.poll(stream.isStopped, { timeout: LEAVE_MS }).toBe(true);
  });

  test("while the upstream is silent, as the request's signal tells", async () => {
    const client = new AbortController();
    const stream = await createFakeStream(
      async (source) => {
        await source.send(HELLO);
        await source.until(() => false);
      },
      { kind, client: client.signal },
    );
    const { body, done } = await stream.start();
    const reader = body.getReader();
    await reader.read();
    const leftAt = Date.now();
    client.abort();
    expect((await done).outcome).toBe("client_disconnected");
    expect(Date.now() - leftAt).toBeLessThan(LEAVE_MS);
    expect(stream.attempt.abortedBy()).toBe("client");
  });

  test("before the first byte was read", async () => {
    const stream = await createFakeStream(endless, { kind });
    const { body, done } = await stream.start();
    await body.cancel();
    expect((await done).outcome).toBe("client_disconnected");
    await expect.poll(stream.isStopped, { timeout: LEAVE_MS }).toBe(true);
  });

  test("when the upstream is done and the client is not has left all the same", async () => {
    const large = Array.from({ length: 4 }, () => textEvent("x".repeat(10_000))).join("");
    const stream = await createFakeStream(
      async (source) => {
        await source.send(large + textEvent("", "stop") + END);
        await source.end();
      },
      { kind },
    );
    const { body, done } = await stream.start();
    const reader = body.getReader({ mode: "byob" });
    await reader.read(new Uint8Array(10));
    // Long enough for the side branch to see the end.
    await expect.poll(() => stream.events.length, { timeout: 3000 }).toBe(6);
    await reader.cancel();
    expect((await done).outcome).toBe("client_disconnected");
  });

  test("leaves what was written up to then for the bill", async () => {
    const stream = await createFakeStream(endless, { kind });
    const { body, done } = await stream.start();
    const reader = body.getReader();
    await reader.read();
    await reader.cancel();
    await done;
    expect(stream.summary().writtenTokens).toBeGreaterThan(0);
    expect(stream.summary().usage).toBeUndefined();
  });
});

test("two streams at once don't touch each other", async () => {
  const good = await createFakeStream(async (source) => {
    await source.send(ANSWER);
    await source.end();
  });
  const bad = await createFakeStream(async (source) => {
    await source.send(HELLO);
    await source.end();
  });
  const [first, second] = await Promise.all([good.start(), bad.start()]);
  const [goodText, badText] = await Promise.all([readAll(first.body), readAll(second.body)]);
  expect(goodText).toBe(ANSWER);
  expect(splitError(badText).before).toBe(HELLO);
  expect((await first.done).outcome).toBe("complete");
  expect((await second.done).outcome).toBe("cut");
});
