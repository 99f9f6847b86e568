/** Tenants of one name follow each other: an isolate forgets what it has of the one before, and drops what ends late. */
import { expect, it } from "vitest";
import { createGenerationCheck } from "../../../src/tenants/generations.ts";
import { flightObjects, generationObject } from "../../../src/tenants/storage-keys.ts";

it("forgets once when a later generation is seen, and drops what is of an earlier one", () => {
  const forgotten: string[] = [];
  const isCurrent = createGenerationCheck((tenantId) => void forgotten.push(tenantId));
  expect(isCurrent({ id: "acme" })).toBe(true);
  expect(isCurrent({ id: "acme", generation: 0 })).toBe(true);
  expect(forgotten).toEqual([]);
  expect(isCurrent({ id: "acme", generation: 1 })).toBe(true);
  expect(isCurrent({ id: "acme", generation: 1 })).toBe(true);
  expect(isCurrent({ id: "acme" })).toBe(false);
  expect(isCurrent({ id: "other" })).toBe(true);
  expect(isCurrent({ id: "acme", generation: 3 })).toBe(true);
  expect(isCurrent({ id: "acme", generation: 1 })).toBe(false);
  expect(forgotten).toEqual(["acme", "acme"]);
});

it("names objects so that no tenant's name is another one's object", () => {
  expect([generationObject("acme"), generationObject("acme", 2)]).toEqual(["acme", "acme~2"]);
  expect(flightObjects(generationObject("acme", 2))).toHaveLength(16);
  expect(flightObjects("acme~2")[15]).toBe("acme~2/f");
});
