import fc from "fast-check";
import { expect, test } from "vitest";
import { packTraces } from "../../../src/telemetry/export-pack.ts";

const bytesOf = (text: string): number => Buffer.byteLength(text);

test("few traces make one body, and their text stays as it is", () => {
  expect(packTraces(["a", "b"], 1_000_000)).toEqual({ bodies: [{ spans: "a,b", traces: 2 }], tooLarge: 0 });
});

test("no body is larger than the back end takes, and no trace is split, lost or doubled", () => {
  const trace = fc.tuple(fc.constantFrom("x", "ü", "界", "😀"), fc.integer({ min: 1, max: 400_000 }));
  fc.assert(
    fc.property(
      fc.array(trace, { maxLength: 8 }),
      fc.constantFrom(1_000_000, 600_000, 4_000_000),
      (parts, max) => {
        const traces = parts.map(([letter, length]) => letter.repeat(length));
        const { bodies, tooLarge } = packTraces(traces, max);
        for (const { spans, traces: count } of bodies) {
          expect(bytesOf(spans)).toBeLessThanOrEqual(max);
          if (count > 1) expect(bytesOf(spans)).toBeLessThanOrEqual(1_000_000);
        }
        const packed = bodies.flatMap(({ spans }) => (spans === "" ? [] : spans.split(",")));
        expect(packed).toEqual(traces.filter((text) => bytesOf(text) + 1 <= max - 2048));
        expect(bodies.reduce((sum, { traces: count }) => sum + count, tooLarge)).toBe(traces.length);
      },
    ),
    { numRuns: 40 },
  );
});
