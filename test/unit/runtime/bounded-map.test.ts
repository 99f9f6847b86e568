/** What an isolate remembers is bounded by number and by weight. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { createBoundedMap } from "../../../src/runtime/bounded-map.ts";

it("forgets the oldest entry that was not used", () => {
  const map = createBoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.set("c", 3);
  expect([map.get("a"), map.get("b"), map.get("c"), map.size]).toEqual([1, undefined, 3, 2]);
});

it("forgets as many as the weight of a new one needs, and a too heavy one itself", () => {
  const map = createBoundedMap<string, number>(10, { maxWeight: 10, weigh: (value) => value });
  map.set("a", 4);
  map.set("b", 4);
  map.set("c", 6);
  expect([map.get("a"), map.get("b"), map.get("c")]).toEqual([undefined, 4, 6]);
  map.set("d", 11);
  expect([map.get("b"), map.get("c"), map.get("d"), map.size]).toEqual([4, 6, undefined, 2]);
});

it("spares what was used once, and takes a new one in where all were used", () => {
  const map = createBoundedMap<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  map.get("a");
  map.get("b");
  map.set("c", 3);
  expect([map.get("a"), map.get("b"), map.get("c"), map.size]).toEqual([undefined, 2, 3, 2]);
  map.set("d", 4);
  map.set("e", 5);
  expect([map.get("c"), map.get("d"), map.get("e"), map.size]).toEqual([undefined, undefined, 5, 2]);
});

it("holds no more than it may, whatever is asked of it, and always the newest", () => {
  const step = fc.tuple(fc.constantFrom("get", "set", "delete"), fc.integer({ min: 0, max: 6 }), fc.nat(5));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = createBoundedMap<number, number>(3, { maxWeight: 8, weigh: (value) => value });
      const told = new Map<number, number>();
      for (const [what, key, value] of steps) {
        if (what === "get") expect([told.get(key), undefined]).toContain(map.get(key));
        if (what === "delete") map.delete(key);
        if (what !== "set") continue;
        map.set(key, value);
        told.set(key, value);
        expect(map.get(key)).toBe(value);
        const held = [0, 1, 2, 3, 4, 5, 6].flatMap((each) => map.get(each) ?? []);
        expect(held).toHaveLength(map.size);
        expect(held.length).toBeLessThanOrEqual(3);
        expect(held.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(8);
      }
    }),
  );
});

it("counts a replaced and a deleted entry's weight no more", () => {
  const map = createBoundedMap<string, number>(10, { maxWeight: 10, weigh: (value) => value });
  map.set("a", 9);
  map.set("a", 1);
  map.set("b", 9);
  map.delete("b");
  map.set("c", 9);
  expect([map.get("a"), map.get("c")]).toEqual([1, 9]);
});
