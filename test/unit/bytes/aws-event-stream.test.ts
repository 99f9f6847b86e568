// AWS's event stream framing: checksums, headers of all types, any split, and what broken bytes do.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createEventStreamParser } from "../../../src/bytes/aws-event-stream.ts";
import { crc32 } from "../../../src/bytes/digest.ts";
import { MAX_EVENT_BYTES, type ServerSentEvent } from "../../../src/bytes/sse.ts";
import { fixtureBytes, SPLITS } from "../../support/builders/wire-fixtures.ts";

function parse(bytes: Uint8Array, size: number): readonly ServerSentEvent[] {
  const parser = createEventStreamParser();
  const events: ServerSentEvent[] = [];
  for (let at = 0; at < bytes.length; at += size) events.push(...parser.push(bytes.slice(at, at + size)));
  return events;
}

const FIXTURES = ["text", "text-headers", "tools", "thinking", "citations", "throttled"];

describe("a stream", () => {
  test.each(FIXTURES)("%s gives the same events at any split", (name) => {
    const bytes = fixtureBytes(`bedrock/${name}.bin`);
    const [whole, ...others] = SPLITS.map((size) => parse(bytes, size));
    expect(whole?.length).toBeGreaterThan(2);
    for (const events of others) expect(events).toEqual(whole);
  });

  test("names its events, whatever other headers they have", () => {
    const names = parse(fixtureBytes("bedrock/text-headers.bin"), 7).map(({ event }) => event);
    expect(names.filter((name) => name !== "contentBlockDelta")).toEqual([
      "messageStart",
      "initial-response",
      "contentBlockStop",
      "messageStop",
      "metadata",
    ]);
  });

  test("names a fault as one", () => {
    expect(parse(fixtureBytes("bedrock/throttled.bin"), 1).at(-1)?.event).toBe("fault:throttlingException");
  });

  test("keeps nothing of a buffer that is used again", () => {
    const bytes = fixtureBytes("bedrock/text.bin");
    const parser = createEventStreamParser();
    const events: ServerSentEvent[] = [];
    const buffer = new Uint8Array(50);
    for (let at = 0; at < bytes.length; at += buffer.length) {
      const piece = bytes.subarray(at, at + buffer.length);
      buffer.set(piece);
      events.push(...parser.push(buffer.subarray(0, piece.length)));
      buffer.fill(0);
    }
    expect(events).toEqual(parse(bytes, Number.MAX_SAFE_INTEGER));
  });

  test("that was cut is in the middle of an event, one that ended is not", () => {
    for (const [name, isMidEvent] of [
      ["cut", true],
      ["text", false],
    ] as const) {
      const parser = createEventStreamParser();
      parser.push(fixtureBytes(`bedrock/${name}.bin`));
      expect(parser.isMidEvent()).toBe(isMidEvent);
    }
  });
});

describe("a message of megabytes", () => {
  /** Sound checksums around a payload of zeros. */
  function messageOf(payloadBytes: number): Uint8Array {
    const bytes = new Uint8Array(12 + payloadBytes + 4);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length);
    view.setUint32(8, crc32(bytes.subarray(0, 8)));
    view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)));
    return bytes;
  }

  test("costs time by its length, not its square", () => {
    const bytes = messageOf(6 * 1024 * 1024);
    const startedAt = performance.now();
    expect(parse(bytes, 512)).toHaveLength(1);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test("above the limit is malformed as soon as its length is known", () => {
    const head = messageOf(MAX_EVENT_BYTES).subarray(0, 12);
    expect(() => parse(head, 12)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });
});

describe("broken bytes", () => {
  test.each(["bad-message-crc", "bad-prelude-crc"])(
    "%s: what came before is given, then it throws",
    (name) => {
      const bytes = fixtureBytes(`bedrock/${name}.bin`);
      for (const size of SPLITS) {
        const parser = createEventStreamParser();
        const events: ServerSentEvent[] = [];
        const read = (): void => {
          for (let at = 0; at < bytes.length; at += size)
            events.push(...parser.push(bytes.slice(at, at + size)));
          parser.push(new Uint8Array(1));
        };
        expect(read).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
        expect(events.map(({ event }) => event)).toEqual(["messageStart", "contentBlockDelta"]);
      }
    },
  );

  test("are malformed and nothing else, and never hang", () => {
    const sound = fixtureBytes("bedrock/tools.bin");
    const hurt = fc
      .record({ at: fc.nat(sound.length - 1), value: fc.integer({ min: 0, max: 255 }) })
      .map(({ at, value }) => sound.with(at, value));
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 200 }), hurt),
        fc.integer({ min: 1, max: 64 }),
        (bytes, size) => {
          try {
            expect(Array.isArray(parse(bytes, size))).toBe(true);
          } catch (error) {
            expect(error).toMatchObject({ code: "upstream_malformed" });
          }
        },
      ),
    );
  });

  test("with sound checksums but a lying header are malformed too", () => {
    const headers = [3, 97, 98, 99, 7, 255, 255, 1];
    const bytes = new Uint8Array(12 + headers.length + 4);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, bytes.length);
    view.setUint32(4, headers.length);
    view.setUint32(8, crc32(bytes.subarray(0, 8)));
    for (const type of [7, 6, 4, 10]) {
      bytes.set(headers.with(4, type), 12);
      view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)));
      expect(() => parse(bytes, 1)).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
    }
  });
});
