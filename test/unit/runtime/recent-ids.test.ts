import { expect, test } from "vitest";
import { createRecentIds } from "../../../src/runtime/recent-ids.ts";

test("knows an id for a minute", () => {
  const ids = createRecentIds();
  ids.add("a", 0);
  expect(ids.has("a", 59_999)).toBe(true);
  expect(ids.has("a", 60_000)).toBe(false);
  expect(ids.has("b", 0)).toBe(false);
});

test("forgets the oldest first when there are too many", () => {
  const ids = createRecentIds();
  for (let n = 0; n <= 1024; n += 1) ids.add(`id${n}`, 0);
  expect(ids.has("id0", 0)).toBe(false);
  expect(ids.has("id1", 0)).toBe(true);
});
