// A value for a JSON schema's simple types.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sampleOf } from "../../../../src/providers/sim/schema-sample.ts";

describe("a sample", () => {
  test.each([
    [{ type: "string" }, "value"],
    [{ type: "string", minLength: 7 }, "valuexx"],
    [{ type: "string", maxLength: 3 }, "val"],
    [{ enum: ["a", "b"] }, "a"],
    [{ enum: [null, "b"] }, "b"],
    [{ const: 5 }, 5],
    [{ type: "number", default: 2.5 }, 2.5],
    [{ type: "integer", minimum: 10 }, 10],
    [{ type: "integer", exclusiveMinimum: 10 }, 11],
    [{ type: "integer", maximum: -3 }, -3],
    [{ type: "number" }, 1],
    [{ type: "boolean" }, true],
    [{ type: "null" }, null],
    [{ type: ["null", "integer"] }, 1],
    [{ type: "array", items: { type: "integer" }, minItems: 2 }, [1, 1]],
    [{ type: "object", properties: { a: { type: "string" } } }, { a: "a" }],
    [{ properties: { a: {} } }, { a: "a" }],
    [{ anyOf: [{ type: "boolean" }, { type: "null" }] }, true],
    [{ $ref: "#/$defs/city", $defs: { city: { type: "boolean" } } }, true],
    [undefined, "value"],
  ])("of %j is %j", (schema, value) => {
    expect(sampleOf(schema)).toEqual(value);
  });

  test("of a schema that contains itself ends", () => {
    const schema = { properties: { next: { $ref: "#" } } };
    expect(JSON.stringify(sampleOf(schema)).length).toBeLessThan(200);
  });

  test("of a schema that grows without bound stays small", () => {
    const properties = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`p${at}`, { $ref: "#" }]));
    expect(JSON.stringify(sampleOf({ properties })).length).toBeLessThan(2_000_000);
    expect(JSON.stringify(sampleOf({ type: "array", minItems: 1e12 })).length).toBeLessThan(2000);
    expect(sampleOf({ type: "string", minLength: 1e12 })).toHaveLength(1000);
  });

  test("of anything at all is JSON", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (schema) => {
        expect(() => JSON.stringify(sampleOf(schema))).not.toThrow();
      }),
    );
  });
});
