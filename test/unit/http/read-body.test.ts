import { describe, expect, test } from "vitest";
import { readBodyText } from "../../../src/http/read-body.ts";

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

const tooLarge = expect.objectContaining({
  code: "request_too_large",
  status: 413,
  message: expect.stringContaining("limits.maxBodyBytes"),
});

describe("a body that tells its length", () => {
  test("is read when it fits exactly", async () => {
    expect(await readBodyText(declared("12345"), 5)).toBe("12345");
  });

  test("is refused unread when it is one byte too large", async () => {
    const request = declared("123456");
    await expect(readBodyText(request, 5)).rejects.toEqual(tooLarge);
    expect(request.bodyUsed).toBe(false);
  });

  test("is measured in bytes, not in characters", async () => {
    await expect(readBodyText(declared("ééé"), 5)).rejects.toEqual(tooLarge);
  });
});

describe("a body that comes in pieces", () => {
  test("is read when it fits exactly", async () => {
    expect(await readBodyText(chunked("12345", 2).request, 5)).toBe("12345");
  });

  test("is given up as soon as it is too large, not at its end", async () => {
    const { request, taken } = chunked("x".repeat(1000), 10);
    await expect(readBodyText(request, 25)).rejects.toEqual(tooLarge);
    expect(taken.bytes).toBeLessThanOrEqual(40);
    expect(taken.isCancelled).toBe(true);
  });

  test.each([1, 2, 3, 5])("keeps its characters whole over pieces of %i bytes", async (size) => {
    const text = "aé€😀" + "😀".repeat(5);
    expect(await readBodyText(chunked(text, size).request, 1000)).toBe(text);
  });

  test("shows that it ended inside a character", async () => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array([0x61, 0xf0, 0x9f]));
        controller.close();
      },
    });
    const request = new Request("http://gw/", { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await readBodyText(request, 10)).toBe("a\uFFFD");
  });
});

test("no body at all is an empty text", async () => {
  expect(await readBodyText(new Request("http://gw/", { method: "POST" }), 10)).toBe("");
});
