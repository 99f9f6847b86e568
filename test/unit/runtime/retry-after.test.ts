// Reading an upstream's wish to be left alone for a while.
import { describe, expect, test } from "vitest";
import { parseRetryAfter } from "../../../src/runtime/retry-after.ts";

const NOW_MS = Date.UTC(2026, 10, 25, 10, 0, 0);
const wait = (headers: Record<string, string>, nowMs?: number) =>
  parseRetryAfter(new Headers(headers), nowMs);

describe("numbers", () => {
  test.each([
    [{ "retry-after": "20" }, 20_000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": " 2 " }, 2000],
    [{ "retry-after": "1.5" }, 1500],
    [{ "retry-after-ms": "1200" }, 1200],
    [{ "retry-after-ms": "1200", "retry-after": "20" }, 1200],
    [{ "retry-after-ms": "soon", "retry-after": "20" }, 20_000],
  ])("%j", (headers, expected) => {
    expect(wait(headers)).toBe(expected);
  });

  test.each(["", "soon", "-5", "1e3", "5 apples", "NaN", "Infinity"])("%j says nothing", (value) => {
    expect(wait({ "retry-after": value }, NOW_MS)).toBeUndefined();
  });

  test("no header says nothing", () => {
    expect(wait({}, NOW_MS)).toBeUndefined();
  });
});

describe("dates", () => {
  const until = "Wed, 25 Nov 2026 10:00:30 GMT";

  test("count from the response's own date, so that clocks need not agree", () => {
    expect(wait({ "retry-after": until, date: "Wed, 25 Nov 2026 10:00:10 GMT" }, NOW_MS)).toBe(20_000);
  });

  test("count from now where the response has no date", () => {
    expect(wait({ "retry-after": until }, NOW_MS)).toBe(30_000);
  });

  test("say nothing where there is neither", () => {
    expect(wait({ "retry-after": until })).toBeUndefined();
  });

  test("that are past mean no wait", () => {
    expect(wait({ "retry-after": "Wed, 25 Nov 2026 09:00:00 GMT" }, NOW_MS)).toBe(0);
  });

  test("in the old forms of HTTP are read too", () => {
    expect(wait({ "retry-after": "Wednesday, 25-Nov-26 10:00:30 GMT" }, NOW_MS)).toBe(30_000);
  });
});
