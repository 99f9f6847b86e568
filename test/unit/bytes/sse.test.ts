// The one parser of server-sent events: framing, UTF-8, and pieces cut anywhere.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSseParser, formatEvent, MAX_EVENT_BYTES } from "../../../src/bytes/sse.ts";
import { parseInPieces, parseText } from "../../support/builders/wire-fixtures.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const dataOf = (text: string): readonly string[] => parseText(text).map(({ data }) => data);

describe("events", () => {
  test("an event ends with a blank line, and not before", () => {
    const parser = createSseParser();
    expect(parser.push(bytesOf("data: a\n"))).toEqual([]);
    expect(parser.push(bytesOf("\n"))).toEqual([{ event: "message", data: "a" }]);
  });

  test("several data lines are joined by a line feed", () => {
    expect(dataOf("data: a\ndata:\ndata: b\n\n")).toEqual(["a\n\nb"]);
  });

  test("only one space behind the colon is taken away", () => {
    expect(dataOf("data:a\n\ndata:  b \n\n")).toEqual(["a", " b "]);
  });

  test("the event field names the event, once", () => {
    expect(parseText("event: error\ndata: a\n\ndata: b\n\n")).toEqual([
      { event: "error", data: "a" },
      { event: "message", data: "b" },
    ]);
  });

  test("comments, ids, retry times and unknown fields are passed over", () => {
    expect(dataOf(": hello\nid: 1\nretry: 5\nnonsense\nDATA: x\ndata: a\n\n")).toEqual(["a"]);
  });

  test("a blank line without data is no event, a data line without a value is an empty one", () => {
    expect(dataOf("\n\nevent: ping\n\ndata\n\n")).toEqual([""]);
  });

  test("a byte order mark at the start is no part of the first field", () => {
    expect(dataOf("\ufeffdata: a\n\n")).toEqual(["a"]);
  });

  test("LF, CRLF and CR end a line, also mixed, and give their events at once", () => {
    expect(dataOf("data: a\r\n\r\ndata: b\r\rdata: c\n\ndata: d\r\n\n")).toEqual(["a", "b", "c", "d"]);
    expect(dataOf("data: a\n\r")).toEqual(["a"]);
  });

  test("a CRLF cut in its middle is one line end", () => {
    const parser = createSseParser();
    expect(parser.push(bytesOf("data: a\r"))).toEqual([]);
    expect(parser.push(bytesOf("\n"))).toEqual([]);
    expect(parser.push(bytesOf("data: b\r\n\r\n"))).toEqual([{ event: "message", data: "a\nb" }]);
  });

  test("an empty piece between CR and LF changes nothing", () => {
    const parser = createSseParser();
    parser.push(bytesOf("data: a\r"));
    parser.push(new Uint8Array());
    expect(parser.push(bytesOf("\n"))).toEqual([]);
  });
});

describe("the end of a stream", () => {
  test("nothing is held after a whole event", () => {
    const parser = createSseParser();
    parser.push(bytesOf("data: a\n\n"));
    expect(parser.isMidEvent()).toBe(false);
  });

  test.each(["data: a", "data: a\n", 'data: {"half', "da"])("%j is an event cut short", (text) => {
    const parser = createSseParser();
    expect(parser.push(bytesOf(text))).toEqual([]);
    expect(parser.isMidEvent()).toBe(true);
  });

  test.each(["data: a", "data: a\n", "data: a\r\n", "event: e\ndata: a"])(
    "%j is given at the end",
    (text) => {
      const parser = createSseParser();
      parser.push(bytesOf(`data: before\n\n${text}`));
      expect(parser.end().map(({ data }) => data)).toEqual(["a"]);
      // A relay that has passed the bytes on must know that their end mark is missing.
      expect(parser.isMidEvent()).toBe(true);
    },
  );

  test.each(["", ": comment", "event: e", "data: a\n\n"])("%j has nothing left to give", (text) => {
    const parser = createSseParser();
    parser.push(bytesOf(text));
    expect(parser.end()).toEqual([]);
  });
});

describe("an event of megabytes", () => {
  const PIECE = bytesOf("x".repeat(1023));

  test.each(["data: ", "data: \ndata: "])("costs time by its length, not its square (%j)", (start) => {
    const parser = createSseParser();
    parser.push(bytesOf(start));
    const startedAt = performance.now();
    for (let sent = 0; sent < 7 * 1024; sent += 1) expect(parser.push(PIECE)).toEqual([]);
    const [event] = parser.push(bytesOf("\n\n"));
    expect(event?.data.length).toBeGreaterThanOrEqual(7 * 1024 * 1023);
    // Seven seconds and more where each piece is searched from the start again.
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  test.each(["data: ", ": ", "data: a\ndata:"])("above the limit is malformed (%j)", (start) => {
    const parser = createSseParser();
    parser.push(bytesOf(start));
    const read = (): void => {
      for (let bytes = 0; bytes <= MAX_EVENT_BYTES + 2048; bytes += PIECE.length) parser.push(PIECE);
    };
    expect(read).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
    expect(parser.isMidEvent()).toBe(true);
    expect(() => parser.push(bytesOf("\n\n"))).toThrow("8 MB");
  });

  test("in many lines is one too", () => {
    const parser = createSseParser();
    const line = bytesOf(`data: ${"x".repeat(1000)}\n`);
    const read = (): void => {
      for (let sent = 0; sent < 9000; sent += 1) parser.push(line);
    };
    expect(read).toThrow(expect.objectContaining({ code: "upstream_malformed" }));
  });
});

describe("properties", () => {
  const line = fc.oneof(
    fc.constantFrom("", "data: x", "data:", "event: e", ": comment", "id: 3", "data: 👋🏽é\u2028"),
    fc.string().map((text) => text.replaceAll(/[\r\n]/g, "")),
  );
  const lines = fc.array(fc.tuple(line, fc.constantFrom("\n", "\r\n", "\r")));
  const text = lines.map((pairs) => pairs.map(([content, end]) => content + end).join(""));

  test("however the bytes are cut, the events are the same", () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (stream, size) => {
        expect(parseInPieces(bytesOf(stream), size)).toEqual(parseText(stream));
      }),
    );
  });

  test("no bytes make it throw", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        const parser = createSseParser();
        for (const piece of pieces) parser.push(piece);
        expect(typeof parser.isMidEvent()).toBe("boolean");
      }),
    );
  });

  test("data of several lines is written line by line, whatever ends them", () => {
    expect(formatEvent('{\n"a":1\r\n}\r')).toBe('data: {\ndata: "a":1\ndata: }\ndata: \n\n');
    fc.assert(
      fc.property(
        fc.array(fc.string(), { minLength: 1 }),
        fc.constantFrom("\n", "\r\n", "\r"),
        (texts, end) => {
          const lines = texts.map((text) => text.replaceAll(/[\r\n]/g, ""));
          expect(dataOf(formatEvent(lines.join(end)))).toEqual([lines.join("\n")]);
        },
      ),
    );
  });

  test("what is formatted is parsed back", () => {
    const word = fc.string({ minLength: 1 }).filter((name) => !/[\r\n]/.test(name) && !name.startsWith(" "));
    fc.assert(
      fc.property(fc.json(), fc.option(word, { nil: undefined }), (data, event) => {
        const expected = [{ event: event ?? "message", data }];
        expect(parseText(formatEvent(data, event))).toEqual(expected);
      }),
    );
  });
});
