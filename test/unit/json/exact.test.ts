// Numbers keep their digits through parseJson and toJson; everything else is JSON.parse and JSON.stringify.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalText } from "../../../src/json/canonical.ts";
import { parseJson, toJson } from "../../../src/json/exact.ts";

describe("digits", () => {
  test.each([
    '{"id":2512292042121000001}',
    '{"id":-9223372036854775808,"list":[18446744073709551615,1]}',
    '{"a":0.12345678901234567890123}',
    '[12345678901234567890,"12345678901234567890","\\"12345678901234567890"]',
    '{"12345678901234567890":{"b":9007199254740993}}',
    '{"s":"\\uE000\uE0000 and 9007199254740993","n":9007199254740993}',
  ])("of %s come back as they were", (text) => {
    expect(JSON.parse(toJson(parseJson(text)))).toEqual(JSON.parse(text));
    expect(toJson(parseJson(text)).replaceAll("\uE000", "\\uE000")).toBe(
      text.replaceAll("\uE000", "\\uE000"),
    );
  });

  test("are kept wherever the number stands", () => {
    for (const digits of ["9007199254740993", "-9007199254740993", "0.12345678901234567"]) {
      for (let before = 0; before < 40; before += 1) {
        const text = `{"${"x".repeat(before)}":${digits}}`;
        expect(toJson(parseJson(text))).toBe(text);
      }
    }
  });

  test("a number that a double holds is a number", () => {
    expect(parseJson('{"a":1796052421123456,"b":0.25}')).toEqual({ a: 1_796_052_421_123_456, b: 0.25 });
  });

  test("JSON.stringify rounds them, and breaks on none", () => {
    expect(JSON.stringify(parseJson('{"a":9007199254740993}'))).toBe('{"a":9007199254740992}');
  });

  test("broken texts throw as JSON.parse does", () => {
    for (const text of ['{"a":9007199254740993', "9007199254740993.1.2", '{"a":"9007199254740993']) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    }
  });

  test("two numbers that round to one have two canonical texts, and an object is neither", () => {
    const texts = ['{"a":9007199254740993}', '{"a":9007199254740992}', '{"a":{"digits":"9007199254740993"}}'];
    expect(new Set(texts.map((text) => canonicalText(parseJson(text)))).size).toBe(3);
  });
});

test("any JSON value comes back, and long integers digit for digit", () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(value, fc.bigInt({ min: 0n, max: 2n ** 70n }), fc.string(), (plain, big, key) => {
      const text = `{${JSON.stringify(key)}:${JSON.stringify(plain)},"big":[${big}]}`;
      expect(JSON.parse(toJson(parseJson(text)))).toEqual(JSON.parse(text));
      expect(toJson(parseJson(text))).toContain(`[${big}]`);
    }),
  );
});
