import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../src/errors.ts";
import { readBodyText } from "../../../src/http/read-body.ts";
import { dropUnreadBody } from "../../../src/http/unread-body.ts";
import type { StartTimer } from "../../../src/runtime/waits.ts";

/** A body without a declared length, in pieces of `size` bytes; counts how many were taken. */
function chunked(text: string, size: number) {
  const bytes = new TextEncoder().encode(text);
  const taken = { bytes: 0, isCancelled: false };
  let at = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(at, at + size));
        at += size;
        taken.bytes = at;
      },
      cancel() {
        taken.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const request = new Request("http://gw/v1/chat/completions", {
    method: "POST",
    body,
    duplex: "half",
  } as RequestInit);
  return { request, taken };
}

function declared(text: string): Request {
  const headers = { "content-length": String(new TextEncoder().encode(text).length) };
  return new Request("http://gw/", { method: "POST", body: text, headers });
}

/** There is room for everything. */
const HOLD = (): void => {};

const tooLarge = expect.objectContaining({
  code: "request_too_large",
  status: 413,
  message: expect.stringContaining("limits.maxBodyBytes"),
});

describe("what is held of a body", () => {
  const full = (): never => {
    throw new GatewayError("overloaded", "no room");
  };

  test("is counted before it is read where its length is declared, else piece by piece", async () => {
    const held: number[] = [];
    const hold = (bytes: number): void => void held.push(bytes);
    await readBodyText(declared("12345"), 5, hold);
    await readBodyText(chunked("12345", 2).request, 5, hold);
    expect(held).toEqual([5, 2, 2, 1]);
  });

  test("is nothing where there is no room: it is not read on", async () => {
    const request = declared("12345");
    await expect(readBodyText(request, 5, full)).rejects.toThrow("no room");
    expect(request.bodyUsed).toBe(false);
    const { request: pieces, taken } = chunked("x".repeat(100), 10);
    await expect(readBodyText(pieces, 100, full)).rejects.toThrow("no room");
    expect(taken.bytes).toBeLessThanOrEqual(20);
  });
});

describe("a body that tells its length", () => {
  test("is read when it fits exactly", async () => {
    expect(await readBodyText(declared("12345"), 5, HOLD)).toBe("12345");
  });

  test("is refused unread when it is one byte too large", async () => {
    const request = declared("123456");
    await expect(readBodyText(request, 5, HOLD)).rejects.toEqual(tooLarge);
    expect(request.bodyUsed).toBe(false);
  });

  test("is measured in bytes, not in characters", async () => {
    await expect(readBodyText(declared("ééé"), 5, HOLD)).rejects.toEqual(tooLarge);
  });
});

describe("a body that comes in pieces", () => {
  test("is read when it fits exactly", async () => {
    expect(await readBodyText(chunked("12345", 2).request, 5, HOLD)).toBe("12345");
  });

  test("is given up as soon as it is too large, not at its end", async () => {
    const { request, taken } = chunked("x".repeat(1000), 10);
    await expect(readBodyText(request, 25, HOLD)).rejects.toEqual(tooLarge);
    expect(taken.bytes).toBeLessThanOrEqual(40);
    // The rest is read and dropped before the answer: a connection closed meanwhile would lose it.
    expect(taken.isCancelled).toBe(false);
    await dropUnreadBody(request);
    expect(taken.bytes).toBe(1000);
  });

  test.each([1, 2, 3, 5])("keeps its characters whole over pieces of %i bytes", async (size) => {
    const text = "aé€😀" + "😀".repeat(5);
    expect(await readBodyText(chunked(text, size).request, 1000, HOLD)).toBe(text);
  });

  test("shows that it ended inside a character", async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array([0x61, 0xf0, 0x9f]));
        controller.close();
      },
    });
    const request = new Request("http://gw/", { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await readBodyText(request, 10, HOLD)).toBe("a\uFFFD");
  });
});

test("no body at all is an empty text", async () => {
  expect(await readBodyText(new Request("http://gw/", { method: "POST" }), 10, HOLD)).toBe("");
});

describe("a body that takes its time", () => {
  /** Timers that a test runs by hand. */
  function manualTimers() {
    const pending: { readonly ms: number; readonly run: () => void }[] = [];
    const startTimer: StartTimer = (ms, run) => {
      const timer = { ms, run };
      pending.push(timer);
      return () => void pending.splice(pending.indexOf(timer), 1);
    };
    const fire = (): number | undefined => {
      const timer = pending.shift();
      timer?.run();
      return timer?.ms;
    };
    return { startTimer, fire, pending };
  }

  function trickling(headers: Record<string, string> = {}) {
    let send: (bytes: Uint8Array) => void = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        send = (bytes) => controller.enqueue(bytes);
      },
    });
    const request = new Request("http://gw/", {
      method: "POST",
      body,
      headers,
      duplex: "half",
    } as RequestInit);
    return { request, send };
  }

  const tooSlow = (text: string) =>
    expect.objectContaining({ code: "request_timeout", status: 408, message: expect.stringContaining(text) });

  test.each([
    ["without a length: 10 s", {}, 10_000, "within 10 s"],
    ["of 1 MiB: 8 s more", { "content-length": String(1024 * 1024) }, 18_000, "within 18 s"],
    [
      "of 1 MiB in gzip: as one without a length",
      { "content-length": "1048576", "content-encoding": "gzip" },
      10_000,
      "within 10 s",
    ],
  ])("%s", async (_, headers, ms, message) => {
    const { startTimer, fire } = manualTimers();
    const reading = readBodyText(trickling(headers).request, 2_000_000, HOLD, startTimer);
    expect(fire()).toBe(ms);
    await expect(reading).rejects.toEqual(tooSlow(message));
  });

  test("gets more time for what has arrived, and no more than that", async () => {
    const { startTimer, fire } = manualTimers();
    const { request, send } = trickling();
    const reading = readBodyText(request, 2_000_000, HOLD, startTimer);
    send(new Uint8Array(256 * 1024));
    await new Promise((resolve) => setTimeout(resolve));
    expect(fire()).toBe(10_000);
    expect(fire()).toBe(2000);
    await expect(reading).rejects.toEqual(tooSlow("within 12 s"));
  });

  test("leaves no timer behind when it is over", async () => {
    const { startTimer, pending } = manualTimers();
    await readBodyText(declared("12345"), 5, HOLD, startTimer);
    await readBodyText(chunked("12345", 2).request, 5, HOLD, startTimer);
    expect(pending).toEqual([]);
  });
});
