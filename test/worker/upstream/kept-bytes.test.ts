// Large answers are given to the client in the bytes in which they came, unless these say something else than their text.
import { describe, expect, test } from "vitest";
import type { UpstreamCall } from "../../../src/upstream/call.ts";
import { readBody } from "../../../src/upstream/read-body.ts";

const LARGE = "naïve façade, 12 × 34. ".repeat(1000);
const encoder = new TextEncoder();

/** As after `sendUpstream`: nothing is aborted, and there are no limits. */
function answered(bytes: Uint8Array, headers: Readonly<Record<string, string>> = {}): UpstreamCall {
  const response = new Response(bytes, {
    headers: { "content-length": String(bytes.byteLength), ...headers },
  });
  const nothing = (): void => {};
  return {
    name: "up",
    response,
    hasFirstByteLimit: false,
    abort: nothing,
    abortedBy: () => undefined,
    signal: new AbortController().signal,
    arm: nothing,
    disarm: nothing,
    startTimer: () => nothing,
    release: nothing,
    toError(thrown) {
      throw thrown;
    },
  };
}

const read = (bytes: Uint8Array, headers?: Readonly<Record<string, string>>) =>
  readBody(answered(bytes, headers), 1000, () => {});

describe("the bytes of a whole answer", () => {
  test("are kept of a large one, beside its text", async () => {
    const bytes = encoder.encode(LARGE);
    expect(await read(bytes)).toEqual({ text: LARGE, bytes });
  });

  test("are not kept of a small one: its text costs less to encode again", async () => {
    expect(await read(encoder.encode("naïve"))).toEqual({ text: "naïve" });
  });

  test.each([
    ["begin with a byte order mark", [0xef, 0xbb, 0xbf], LARGE],
    ["are not UTF-8", [0x80], `\u{FFFD}${LARGE}`],
    ["hold a replacement character of their own", [0xef, 0xbf, 0xbd], `\u{FFFD}${LARGE}`],
  ])("are not kept where they %s: the client gets what was read", async (_, first, text) => {
    expect(await read(Uint8Array.from([...first, ...encoder.encode(LARGE)]))).toEqual({ text });
  });

  test("are not kept of a body in pieces, whose length the head does not name", async () => {
    const call = answered(encoder.encode(LARGE));
    call.response.headers.delete("content-length");
    expect(await readBody(call, 1000, () => {})).toEqual({ text: LARGE });
  });
});
