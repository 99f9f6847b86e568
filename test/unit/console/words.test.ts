import { describe, expect, it, test } from "vitest";
import {
  countText,
  durationText,
  placeText,
  rateText,
  shareText,
  shortId,
  timeText,
  usdText,
  visibleText,
} from "../../../src/console/model/words.ts";

describe("a duration", () => {
  it.each([
    [0, "0 ms"],
    [401.4, "401 ms"],
    [999.6, "1.00 s"],
    [2306, "2.31 s"],
    [9994, "9.99 s"],
    [9996, "10.0 s"],
    [15_540, "15.5 s"],
    [59_960, "1 min"],
    [252_000, "4 min 12 s"],
    [3_599_600, "1 h"],
    [11_040_000, "3 h 4 min"],
  ])("of %d ms is %s", (ms, text) => expect(durationText(ms)).toBe(text));
});

describe("money", () => {
  it.each([
    [null, "no price"],
    [undefined, "no price"],
    [0, "$0"],
    [0.0000004, "under $0.000001"],
    [0.000029, "$0.000029"],
    [0.0003, "$0.00030"],
    [0.0412, "$0.0412"],
    [0.996, "$1.00"],
    [1204.517, "$1,204.52"],
  ])("of %d is %s", (usd, text) => expect(usdText(usd)).toBe(text));
});

test("a share of something that is there is never 0 %", () => {
  expect([shareText(60, 100), shareText(1, 1000), shareText(0, 10), shareText(0, 0)]).toEqual([
    "60 %",
    "under 1 %",
    "0 %",
    "0 %",
  ]);
});

test("counts, rates and places", () => {
  expect([countText(1204), countText(4_812_000), rateText(3.46), rateText(152.4)]).toEqual([
    "1,204",
    "4.81 M",
    "3.5 tokens/s",
    "152 tokens/s",
  ]);
  expect([1, 2, 3, 4, 11, 12, 13, 21, 112].map(placeText)).toEqual([
    "1st",
    "2nd",
    "3rd",
    "4th",
    "11th",
    "12th",
    "13th",
    "21st",
    "112th",
  ]);
});

test("a time is in UTC, with its date on another day than today", () => {
  const at = Date.parse("2026-11-30T14:02:07Z");
  expect(timeText(at, at + 1000)).toBe("14:02:07");
  expect(timeText(at, at + 24 * 3_600_000)).toBe("2026-11-30 14:02:07");
});

test("an id is shown by its ends, a short one whole", () => {
  expect([shortId("a835a8b239017c3c56e0560726e86749"), shortId("req_7Fq2")]).toEqual([
    "a835a8…6749",
    "req_7Fq2",
  ]);
});

test("characters that hide or reorder others are written out, others are left alone", () => {
  expect(visibleText("a\u202Egpj.exe\u0007")).toBe("a⟨U+202E⟩gpj.exe⟨U+0007⟩");
  expect(visibleText("\u200Bx\uFEFF")).toBe("⟨U+200B⟩x⟨U+FEFF⟩");
  expect(visibleText("שיחה مرحبا\n<b>")).toBe("שיחה مرحبا\n<b>");
  expect(visibleText("")).toBe("(no name)");
});
