import fc from "fast-check";
import { expect, test } from "vitest";
import { formatTraceparent, parseTraceparent } from "../../../../src/telemetry/trace/traceparent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const REF = { traceId: TRACE, spanId: SPAN };

test.each([
  ["sampled", `00-${TRACE}-${SPAN}-01`],
  ["not sampled: that is ours to decide", `00-${TRACE}-${SPAN}-00`],
  ["unknown flags", `00-${TRACE}-${SPAN}-ff`],
  ["a higher version", `01-${TRACE}-${SPAN}-01`],
  ["a higher version with more behind it", `cc-${TRACE}-${SPAN}-01-what-the-future-holds`],
])("is taken: %s", (_, header) => {
  expect(parseTraceparent(header)).toEqual(REF);
});

test.each([
  ["absent", null],
  ["empty", ""],
  ["version ff", `ff-${TRACE}-${SPAN}-01`],
  ["version 00 with more behind it", `00-${TRACE}-${SPAN}-01-more`],
  ["version 00 with a dash behind it", `00-${TRACE}-${SPAN}-01-`],
  ["a higher version with more but no dash", `01-${TRACE}-${SPAN}-01x`],
  ["too short", `00-${TRACE}-${SPAN}-0`],
  ["upper case", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ["a zero trace id", `00-${"0".repeat(32)}-${SPAN}-01`],
  ["a zero span id", `00-${TRACE}-${"0".repeat(16)}-01`],
  ["no hex", `00-${TRACE.slice(1)}g-${SPAN}-01`],
  ["flags that are no hex", `00-${TRACE}-${SPAN}-0g`],
  ["another separator", `00_${TRACE}_${SPAN}_01`],
  ["two headers in one", `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
  ["space in front", ` 00-${TRACE}-${SPAN}-01`],
])("is refused: %s", (_, header) => {
  expect(parseTraceparent(header)).toBeUndefined();
});

const hex = (length: number) =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => !/^0+$/.test(text));

test("reads back every span it writes", () => {
  fc.assert(
    fc.property(hex(32), hex(16), (traceId, spanId) => {
      expect(parseTraceparent(formatTraceparent({ traceId, spanId }))).toEqual({ traceId, spanId });
    }),
  );
});

test("never throws, and takes nothing but well-formed ids", () => {
  const near = fc
    .tuple(fc.constant(`00-${TRACE}-${SPAN}-01`), fc.nat(60), fc.string({ maxLength: 3 }))
    .map(([good, at, junk]) => good.slice(0, at) + junk + good.slice(at + junk.length));
  fc.assert(
    fc.property(fc.oneof(fc.string(), near), (header) => {
      const ref = parseTraceparent(header);
      if (ref === undefined) return;
      expect(ref.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
      expect(ref.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
    }),
  );
});
