// Every recorded stream of every wire, however it is cut and written: whole, byte by byte, in sevens, in two pieces at random, with
// other line ends, with comments between events. And every one damaged at random: `upstream_malformed` is the worst of it.
import fc from "fast-check";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ChatChunk } from "../../../src/schema/chat.ts";
import { GatewayError } from "../../../src/errors.ts";
import { createEventStreamParser } from "../../../src/bytes/aws-event-stream.ts";
import { createAnthropicDecoder } from "../../../src/wires/anthropic/upstream-stream.ts";
import { createConverseDecoder } from "../../../src/wires/converse/upstream-stream.ts";
import { createCohereDecoder } from "../../../src/wires/cohere/upstream-stream.ts";
import { createGeminiDecoder } from "../../../src/wires/gemini/upstream-stream.ts";
import { createResponsesDecoder } from "../../../src/wires/openai-responses/upstream-wire.ts";
import { createOpenAiDecoder } from "../../../src/wires/openai-chat/upstream-stream.ts";
import type { Decoder } from "../../../src/wires/upstream-wire.ts";
import { createBoundDecoder } from "../../../src/wires/workers-ai/upstream-stream.ts";
import { createSseParser } from "../../../src/bytes/sse.ts";
import { fixtureBytes, SPLITS } from "../../support/builders/wire-fixtures.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures");

/** The decoder of each folder's streams. */
const DECODERS: Readonly<Record<string, () => Decoder>> = {
  anthropic: createAnthropicDecoder,
  bedrock: createConverseDecoder,
  cohere: createCohereDecoder,
  gemini: createGeminiDecoder,
  openai: createOpenAiDecoder,
  "openai-responses": createResponsesDecoder,
  sim: createOpenAiDecoder,
  "workers-ai": createBoundDecoder,
};

const STREAMS = readdirSync(FIXTURES, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.(sse|bin)$/.test(path))
  .toSorted();

interface Played {
  readonly chunks: readonly ChatChunk[];
  readonly fault?: string;
}

/** What comes of these pieces up to the first fault, whose code is kept. Another kind of exception fails the test. */
function play(path: string, pieces: readonly Uint8Array[]): Played {
  const [folder = ""] = path.split("/");
  const parser = path.endsWith(".bin") ? createEventStreamParser() : createSseParser();
  const decode = DECODERS[folder]?.();
  if (decode === undefined) throw new Error(`${folder} has streams and no decoder here`);
  const chunks: ChatChunk[] = [];
  try {
    // A broken frame is reported at the bytes behind it, after the events before it.
    for (const piece of [...pieces, new Uint8Array(0)])
      for (const event of parser.push(piece)) chunks.push(...decode(event));
  } catch (error) {
    if (error instanceof GatewayError) return { chunks, fault: error.code };
    throw error;
  }
  return { chunks };
}

function cut(bytes: Uint8Array, size: number): readonly Uint8Array[] {
  const count = Math.ceil(bytes.length / size);
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * size, (at + 1) * size));
}

/** The same events otherwise written: https://html.spec.whatwg.org/multipage/server-sent-events.html (seen 2026-11). */
const WRITINGS: Readonly<Record<string, (text: string) => string>> = {
  "as it is": (text) => text,
  "with CRLF": (text) => text.replaceAll("\n", "\r\n"),
  "with CR": (text) => text.replaceAll("\n", "\r"),
  "with comments": (text) => `: hello\n\n${text.replaceAll("\n\n", "\n\n: keep-alive 👋🏽\n\n")}`,
  "behind a byte order mark": (text) => `\uFEFF${text}`,
};

describe.each(STREAMS)("%s", (path) => {
  const bytes = fixtureBytes(path);
  const whole = play(path, [bytes]);
  const isText = path.endsWith(".sse");

  test("says something", () => {
    expect(whole.chunks.length + (whole.fault?.length ?? 0)).toBeGreaterThan(0);
  });

  test.each(isText ? Object.entries(WRITINGS) : [])("%s is the same in pieces of any size", (_, write) => {
    const plain = new TextDecoder().decode(bytes).replaceAll("\r\n", "\n");
    const written = new TextEncoder().encode(write(plain));
    for (const size of SPLITS)
      expect(play(path, cut(written, Math.min(size, written.length)))).toEqual(whole);
  });

  test("in two pieces, cut anywhere, is the same", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length), (at) => {
        expect(play(path, [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(whole);
      }),
    );
  });

  test("damaged anywhere, is malformed at worst", () => {
    const damage = fc.record({
      at: fc.nat(bytes.length),
      gone: fc.nat(40),
      come: fc.oneof(fc.uint8Array({ maxLength: 8 }), fc.constant(new TextEncoder().encode('"}]\n\n{'))),
    });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        const damaged = damages.reduce(
          (kept, { at, gone, come }) =>
            Uint8Array.from([...kept.subarray(0, at), ...come, ...kept.subarray(at + gone)]),
          bytes,
        );
        expect([undefined, "upstream_malformed"]).toContain(play(path, cut(damaged, 64)).fault);
      }),
    );
  });
});
