/** What an isolate remembers is bounded by number and by weight. */
import { expect, it } from "vitest";
import { createBoundedMap } from "../../../src/tenants/bounded-map.ts";

it("forgets the entry used longest ago", () => {
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
  expect(map.size).toBe(0);
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
