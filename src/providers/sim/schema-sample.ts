/**
 * A value that fits a JSON schema's simple types: arguments of simulated tool calls, and structured output. Not a
 * validator; of keywords that only narrow a value (patterns, formats) it knows none.
 */

import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";

/** Schemas may be recursive, and are a client's: a sample ends here with null. */
const MAX_DEPTH = 8;
const MAX_VALUES = 1000;
const MAX_ITEMS = 100;
const MAX_STRING_CHARS = 1000;

/** The same value for the same schema. `name` is the property it stands for: what a plain string says. */
export function sampleOf(schema: unknown, name = "value"): unknown {
  const root = recordOf(schema);
  let valueCount = 0;

  function sample(part: JsonRecord, partName: string, depth: number): unknown {
    valueCount += 1;
    if (depth > MAX_DEPTH || valueCount > MAX_VALUES) return null;
    const reference = textOf(part["$ref"]);
    if (reference !== undefined) return sample(resolve(reference, root), partName, depth + 1);
    if (part["const"] !== undefined) return part["const"];
    const given = [part["default"], ...listOf(part["examples"]), ...listOf(part["enum"])].find(isPresent);
    if (given !== undefined) return given;
    const [variant] = ["anyOf", "oneOf", "allOf"].flatMap((keyword) => listOf(part[keyword]));
    if (isRecord(variant)) return sample(variant, partName, depth + 1);
    return sampleOfType(part, partName, (inner, innerName) => sample(recordOf(inner), innerName, depth + 1));
  }

  return sample(root, name, 0);
}

function sampleOfType(
  schema: JsonRecord,
  name: string,
  sampleOfPart: (part: unknown, name: string) => unknown,
): unknown {
  switch (typeOf(schema)) {
    case "object":
      return Object.fromEntries(
        Object.entries(recordOf(schema["properties"])).map(([key, part]) => [key, sampleOfPart(part, key)]),
      );
    case "array": {
      const length = Math.min(Math.max(1, numberOf(schema["minItems"]) ?? 1), MAX_ITEMS);
      return Array.from({ length }, () => sampleOfPart(schema["items"], name));
    }
    case "integer":
    case "number":
      return sampleNumber(schema);
    case "boolean":
      return true;
    case "null":
      return null;
    default: {
      const padded = name.padEnd(Math.min(numberOf(schema["minLength"]) ?? 0, MAX_STRING_CHARS), "x");
      return padded.slice(0, Math.max(0, numberOf(schema["maxLength"]) ?? padded.length));
    }
  }
}

/** The first type that is not null; an object where only properties are named. */
function typeOf(schema: JsonRecord): string {
  const types = [schema["type"]].flat().flatMap((type) => textOf(type) ?? []);
  const type = types.find((name) => name !== "null") ?? types[0];
  return type ?? (isRecord(schema["properties"]) ? "object" : "string");
}

/** 1, or the nearest number within the bounds. */
function sampleNumber(schema: JsonRecord): number {
  const least = numberOf(schema["minimum"]) ?? above(schema["exclusiveMinimum"]);
  const most = numberOf(schema["maximum"]) ?? below(schema["exclusiveMaximum"]);
  return Math.min(Math.max(1, least ?? 1), most ?? Number.MAX_SAFE_INTEGER);
}

function above(bound: unknown): number | undefined {
  const number = numberOf(bound);
  return number === undefined ? undefined : number + 1;
}

function below(bound: unknown): number | undefined {
  const number = numberOf(bound);
  return number === undefined ? undefined : number - 1;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** `#/$defs/City` and the like, within the same schema. */
function resolve(reference: string, root: JsonRecord): JsonRecord {
  let at: unknown = root;
  for (const step of reference.split("/").slice(1)) at = recordOf(at)[step];
  return recordOf(at);
}
