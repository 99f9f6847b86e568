import fc from "fast-check";
import { expect, test } from "vitest";
import { createAxis } from "../../../src/console/model/axis.ts";
import { placeLabel, textWidthPx } from "../../../src/console/model/label.ts";
import { paint, PARTS, type Segment, sumParts } from "../../../src/console/model/parts.ts";

const segment = fc
  .record({
    part: fc.constantFrom(...PARTS),
    from: fc.integer({ min: -50, max: 500 }),
    length: fc.integer({ min: 0, max: 300 }),
  })
  .map(({ part, from, length }): Segment => ({ part, from, to: from + length }));

test("painted segments touch, never overlap, and add up to the whole, whatever is given", () => {
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 12 }), fc.integer({ min: 0, max: 400 }), (segments, to) => {
      const painted = paint(segments, { from: 0, to, rest: "gateway" });
      let at = 0;
      for (const { from, to: end } of painted) {
        expect(from).toBe(at);
        expect(end).toBeGreaterThan(from);
        at = end;
      }
      expect(at).toBe(to);
      expect(sumParts(painted).reduce((sum, { ms }) => sum + ms, 0)).toBe(to);
    }),
  );
});

test("the part that says most wins a moment", () => {
  const painted = paint(
    [
      { part: "queue", from: 0, to: 10 },
      { part: "failed", from: 5, to: 20 },
      { part: "answer", from: 15, to: 30 },
    ],
    { from: 0, to: 40, rest: "gateway" },
  );
  expect(painted.map(({ part, from, to }) => `${part} ${from}-${to}`)).toEqual([
    "queue 0-5",
    "failed 5-15",
    "answer 15-30",
    "gateway 30-40",
  ]);
});

test("an axis has at most eight ticks of 1, 2 or 5 times a power of ten, in one unit", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000_000 }), (totalMs) => {
      const { ticks } = createAxis(totalMs);
      const step = ticks[1]?.atMs ?? 1;
      expect(ticks.length).toBeLessThanOrEqual(8);
      expect([1, 2, 5]).toContain(Number(String(step)[0]));
      expect(String(step).slice(1)).toMatch(/^0*$/);
      const units = new Set(ticks.slice(1).map(({ label }) => label.split(" ")[1]));
      expect(units.size).toBeLessThanOrEqual(1);
      expect(new Set(ticks.map(({ label }) => label)).size).toBe(ticks.length);
    }),
  );
  expect(createAxis(6420).ticks.map(({ label }) => label)).toEqual([
    "0",
    "1 s",
    "2 s",
    "3 s",
    "4 s",
    "5 s",
    "6 s",
  ]);
});

test("a label never leaves the plot, and is whole where there is room anywhere", () => {
  const whole = fc.record({ length: fc.integer({ min: 1, max: 80 }), from: fc.nat(600), width: fc.nat(600) });
  fc.assert(
    fc.property(whole, ({ length, from, width }) => {
      const text = "x".repeat(length);
      const to = Math.min(600, from + width);
      const placed = placeLabel(text, { from, to }, { from, to, isPattern: true }, 600);
      const needs = textWidthPx(placed.text);
      const [left, right] =
        placed.side === "left" ? [placed.atPx - needs, placed.atPx] : [placed.atPx, placed.atPx + needs];
      if (textWidthPx(text) <= Math.max(from, 600 - to) - 5) expect(placed.text).toBe(text);
      if (placed.text.length > 2) {
        expect(left).toBeGreaterThanOrEqual(-1);
        expect(right).toBeLessThanOrEqual(601);
      }
    }),
  );
});
