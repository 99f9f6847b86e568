import { describe, expect, test } from "vitest";
import {
  MAX_JSON_DEPTH,
  MAX_JSON_MEMBERS,
  MAX_JSON_VALUES,
  parseWithinBounds,
} from "../../../src/bytes/json-bounds.ts";

const parse = (text: string): unknown => parseWithinBounds(text, JSON.parse);
const beyond = (limit: string) =>
  expect.objectContaining({ code: "invalid_request", message: expect.stringContaining(limit) });

describe.each([
  ["arrays", (levels: number) => "[".repeat(levels) + "]".repeat(levels)],
  ["objects", (levels: number) => '{"a":'.repeat(levels) + "1" + "}".repeat(levels)],
  ["both in turn", (levels: number) => '[{"a":'.repeat(levels / 2) + "1" + "}]".repeat(levels / 2)],
])("%s inside each other", (_, nested) => {
  test("up to the limit are read", () => {
    expect(JSON.stringify(parse(nested(MAX_JSON_DEPTH)))).toBe(nested(MAX_JSON_DEPTH));
  });
  test.each([2, 10_000])("%i levels more are refused", (more) => {
    expect(() => parse(nested(MAX_JSON_DEPTH + more))).toThrow(beyond("128 levels"));
  });
});

test("siblings are no deeper than each of them", () => {
  expect(parse(`[${"[[]],".repeat(1000)}[]]`)).toHaveLength(1001);
});

/** Each a text with exactly so many members, and so many values. */
const objects = (members: number): string =>
  `[${Array.from({ length: members }, () => '{"a":"b,:[{"}').join(",")}]`;
const wide = (members: number): string =>
  `{${Array.from({ length: members }, (_, at) => `"${at}":${at}`).join(", ")}}`;

test.each([
  ["in one object", wide],
  ["in many", objects],
])("members %s are counted before they are parsed", (_, text) => {
  let isParsed = false;
  const noting = (given: string): unknown => {
    isParsed = true;
    return JSON.parse(given);
  };
  parseWithinBounds(text(MAX_JSON_MEMBERS), noting);
  expect(isParsed).toBe(true);
  isParsed = false;
  expect(() => parseWithinBounds(text(MAX_JSON_MEMBERS + 1), noting)).toThrow(beyond("100000 members"));
  expect(isParsed).toBe(false);
});

test("items of arrays are counted", () => {
  expect(parse(`[${"1,".repeat(MAX_JSON_VALUES - 1)}1]`)).toHaveLength(MAX_JSON_VALUES);
  expect(() => parse(`[${"1,".repeat(MAX_JSON_VALUES)}1]`)).toThrow(beyond("400000 members and array items"));
  expect(() => parse(`[${"[],".repeat(MAX_JSON_VALUES)}1]`)).toThrow(
    beyond("400000 members and array items"),
  );
});

test.each([
  ["plain", "a,b:c[{ "],
  ["with quotes", 'say "a,b:c[{" '],
  ["with backslashes", "\\\\,,\\:"],
])("what stands in strings is not counted: %s", (_, words) => {
  const text = words.repeat(200_000);
  expect(parse(JSON.stringify({ text }))).toEqual({ text });
});

test("what is not JSON is left to the parser", () => {
  expect(() => parse(`["${"x".repeat(1_000_000)}`)).toThrow(SyntaxError);
  expect(() => parse("]".repeat(1_000_000))).toThrow(SyntaxError);
});
