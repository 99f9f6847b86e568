/** JSON in the documents parses, and the records in src/docs/records.md are what the gateway takes, as they are written. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { keySchema, providerSchema, tenantSchema } from "../../../src/tenants/records/records.ts";
import { routeSchema } from "../../../src/tenants/records/route-record.ts";

const DOCS = join(import.meta.dirname, "../../../src/docs");
const read = (page: string): string => readFileSync(join(DOCS, page), "utf8");

/** Comments out; none of the documents has `//` or `/*` in a string but in an address, which has a colon before it. */
const withoutComments = (jsonc: string): string =>
  jsonc.replaceAll(/\/\*.*?\*\//g, "").replaceAll(/(?<!:)\/\/.*$/gm, "");

const blocksOf = (page: string): readonly unknown[] =>
  [...read(page).matchAll(/^```jsonc?\n([\s\S]*?)^```$/gm)].map(([, text = ""]): unknown =>
    JSON.parse(withoutComments(text)),
  );

describe("JSON in the documents", () => {
  it("parses", () => {
    for (const page of readdirSync(DOCS).filter((name) => name.endsWith(".md"))) {
      expect(() => blocksOf(page), page).not.toThrow();
    }
  });

  it("shows records that the gateway takes", () => {
    const [tenant, key, provider, route] = blocksOf("records.md");
    // The page shortens credentials with an ellipsis, which stands for a stored secret there.
    expect(tenantSchema.safeParse(tenant).error?.issues ?? []).toEqual([]);
    expect(keySchema.safeParse(key).error?.issues ?? []).toEqual([]);
    expect(providerSchema.safeParse(provider).error?.issues ?? []).toEqual([]);
    expect(routeSchema.safeParse(route).error?.issues ?? []).toEqual([]);
  });

  it("shows every field of a tenant, a key, a provider and a route", () => {
    const [tenant, key, provider, route] = blocksOf("records.md");
    expect(Object.keys(Object(tenant)).toSorted()).toEqual(Object.keys(tenantSchema.shape).toSorted());
    expect(Object.keys(Object(key)).toSorted()).toEqual(Object.keys(keySchema.shape).toSorted());
    expect(Object.keys(Object(provider)).toSorted()).toEqual(Object.keys(providerSchema.shape).toSorted());
    expect(Object.keys(Object(route)).toSorted()).toEqual(Object.keys(routeSchema.shape).toSorted());
  });

  it("names the fields within them too", () => {
    const page = read("records.md");
    const names = [tenantSchema, keySchema, providerSchema, routeSchema].flatMap((schema) =>
      propertyNames(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" })),
    );
    expect(names.length).toBeGreaterThan(50);
    expect(names.filter((name) => !new RegExp(`["\`]${name}["\`]`).test(page))).toEqual([]);
  });
});

/** The names of all properties that a JSON Schema describes, at any depth. */
function propertyNames(schema: unknown): readonly string[] {
  if (typeof schema !== "object" || schema === null) return [];
  const properties: unknown = Reflect.get(schema, "properties");
  const own = typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  return [...own, ...Object.values(schema).flatMap(propertyNames)];
}
